/*
 * From cavad.conf to objects.
 *
 * The file is read whole and handed to inih line by line. inih cuts what is
 * too long for it without a word (lines, names of sections), so this file
 * looks at every line before inih does, and reads the sections itself.
 * What is true of single fields is checked by object_set(); here only what
 * involves two.
 *
 * inih has its options in global variables (a feature of the Debian build);
 * all that matter are set here, so that the syntax is ours: comments begin
 * with # or ;, at the start of a line or after a blank; an indented line is
 * a line like any other, not the continuation of the one above.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cavad/config.h"
#include "common/near.h"
#include "cavad/object_check.h"

#define CONFIG_FILE_MAX 1048576
#define CONFIG_LINE_MAX 8192	/* with "\n" and the NUL */
#define CONFIG_FIELDS_MAX 64	/* of a class */

struct config_parser {
	TALLOC_CTX *mem_ctx;	/* of the error */
	const char *path;
	const char *text;	/* the line after `line` */
	unsigned int line;
	struct config *config;
	const struct object_class *class;	/* section; NULL = none yet */
	void *object;
	bool settings_seen;
	bool cee_seen;
	bool field_seen[CONFIG_FIELDS_MAX];	/* in this section */
	int error;		/* sticky */
	char **message;
};

__attribute__((format(printf, 3, 4)))
static void config_fail(struct config_parser *p, int error, const char *fmt,
			...)
{
	char *what = NULL;
	va_list ap;

	if (p->error != 0) {
		return;
	}
	p->error = error;
	va_start(ap, fmt);
	what = talloc_vasprintf(NULL, fmt, ap);
	va_end(ap);
	if (p->line == 0) {
		*p->message = talloc_asprintf(p->mem_ctx, "%s: %s", p->path,
					      what);
	} else {
		*p->message = talloc_asprintf(p->mem_ctx, "%s:%u: %s",
					      p->path, p->line, what);
	}
	talloc_free(what);
}

static void config_nomem(struct config_parser *p)
{
	config_fail(p, ENOMEM, "%s", strerror(ENOMEM));
}

/* A section that may come up once more is as it was. */
static void *config_add(struct config_parser *p,
			const struct object_class *class, const char *name)
{
	size_t max = class == &object_filter ? FILTER_ZONES_MAX :
		     CONFIG_JOBS_MAX;
	void *object = config_object(p->config, class, name);

	if (object != NULL) {
		config_fail(p, EINVAL, "[%s %s]: there is one already",
			    class->name, name);
		return NULL;
	}
	if (config_count(p->config, class) >= max) {
		config_fail(p, EINVAL, "[%s %s]: there are more than %zu",
			    class->name, name, max);
		return NULL;
	}
	object = config_make(p->config, class, name);
	if (object == NULL) {
		config_nomem(p);
	}
	return object;
}

static void config_section_plain(struct config_parser *p,
				 const struct object_class *class)
{
	bool *seen = &p->settings_seen;

	p->object = &p->config->settings;
	if (class == &object_cee) {
		seen = &p->cee_seen;
		p->object = &p->config->cee;
	}
	if (*seen) {
		config_fail(p, EINVAL, "[%s]: there is one already",
			    class->name);
	}
	*seen = true;
}

static void config_section_named(struct config_parser *p,
				 const struct object_class *class,
				 const char *name)
{
	const char *wrong = class == &object_filter ?
		object_check_zone(name) : object_check_name(name);

	if (wrong != NULL) {
		config_fail(p, EINVAL, "[%s %.50s]: %s", class->name, name,
			    wrong);
		return;
	}
	p->object = config_add(p, class, name);
}

static const struct object_class *config_class(struct config_parser *p,
					       const char *word)
{
	const struct object_class *class = NULL;
	const char *names[8] = { NULL };
	const char *meant = NULL;
	unsigned int i;

	for (i = 0; (class = object_class(i)) != NULL; i++) {
		if (strcmp(class->name, word) == 0) {
			return class;
		}
		names[i] = class->name;
	}
	meant = near_name(names, word);
	config_fail(p, EINVAL, "[%.50s]: no such section%s%s%s (there are "
		    "[settings], [cee], [filter ZONE], [server NAME], "
		    "[job NAME])", word,
		    meant != NULL ? "; did you mean " : "",
		    meant != NULL ? meant : "", meant != NULL ? "?" : "");
	return NULL;
}

/* title: what stands between the brackets; changed. */
static void config_section(struct config_parser *p, char *title)
{
	const struct object_class *class = NULL;
	char *save = NULL;
	char *word = strtok_r(title, " \t", &save);
	char *name = strtok_r(NULL, " \t", &save);
	char *more = strtok_r(NULL, " \t", &save);

	memset(p->field_seen, 0, sizeof(p->field_seen));
	class = config_class(p, word == NULL ? "" : word);
	if (class == NULL) {
		return;
	}
	p->class = class;
	if (more != NULL || (name != NULL && !class->named)) {
		config_fail(p, EINVAL, "[%s]: \"%.50s\" is one word too many",
			    class->name, more != NULL ? more : name);
	} else if (class->named && name == NULL) {
		config_fail(p, EINVAL, "[%s]: a name is missing, as in "
			    "[%s NAME]", class->name, class->name);
	} else if (class->named) {
		config_section_named(p, class, name);
	} else {
		config_section_plain(p, class);
	}
	if (p->error == 0) {
		object_origin(class, p->object)->file |= OBJECT_ITSELF;
	}
}

/* A line that begins with [. Comments may follow the ]. */
static void config_section_line(struct config_parser *p, const char *line)
{
	const char *end = strpbrk(line, "]\n");
	const char *after = NULL;
	char *title = NULL;

	if (end == NULL || *end != ']') {
		config_fail(p, EINVAL, "a section has no ] at its end");
		return;
	}
	after = end + 1 + strspn(end + 1, " \t\r");
	if (*after != '\0' && strchr("\n;#", *after) == NULL) {
		config_fail(p, EINVAL, "something stands behind the ] of a "
			    "section");
		return;
	}
	title = talloc_strndup(NULL, line + 1, end - line - 1);
	if (title == NULL) {
		config_nomem(p);
		return;
	}
	config_section(p, title);
	talloc_free(title);
}

/* inih's fgets(). NULL = end, or an error. */
static char *config_next_line(char *str, int num, void *stream)
{
	struct config_parser *p = stream;
	const char *first = NULL;
	size_t len;

	if (p->error != 0 || *p->text == '\0') {
		return NULL;
	}
	p->line++;
	len = strcspn(p->text, "\n");
	len += p->text[len] == '\n';
	if (len >= (size_t)num) {
		config_fail(p, EINVAL, "longer than %d characters", num - 2);
		return NULL;
	}
	memcpy(str, p->text, len);
	str[len] = '\0';
	p->text += len;
	first = str + strspn(str, " \t");
	if (*first == '[') {
		config_section_line(p, first);
	}
	return p->error == 0 ? str : NULL;
}

/* inih's handler: 1 = fine. The section is known from its line. */
static int config_line(void *user, const char *section, const char *name,
		       const char *value)
{
	struct config_parser *p = user;
	char *why = NULL;
	size_t i;
	int ret;

	(void)section;
	if (p->class == NULL) {
		config_fail(p, EINVAL, "\"%.50s\" stands before the first "
			    "[section]", name);
		return 0;
	}
	ret = object_set(p->config, p->class, p->object, name, value, &why);
	if (ret != 0) {
		config_fail(p, EINVAL, "%s", why);
		talloc_free(why);
		return 0;
	}
	for (i = 0; strcmp(p->class->fields[i].name, name) != 0; i++) {
		continue;
	}
	if (p->field_seen[i]) {
		config_fail(p, EINVAL, "%s is set twice in this section",
			    name);
		return 0;
	}
	p->field_seen[i] = true;
	object_origin(p->class, p->object)->file |= UINT64_C(1) << i;
	return 1;
}

static void config_parse(struct config_parser *p)
{
	int ret;

	ini_use_stack = true;
	ini_max_line = CONFIG_LINE_MAX;
	ini_allow_multiline = false;
	ini_allow_no_value = false;
	ini_allow_inline_comments = true;
	ini_inline_comment_prefixes = ";#";
	ini_start_comment_prefixes = ";#";
	ini_stop_on_first_error = true;

	ret = ini_parse_stream(config_next_line, p, config_line, p);
	if (ret < 0) {
		config_nomem(p);
	} else if (ret > 0) {
		config_fail(p, EINVAL, "neither \"name = value\" nor a "
			    "[section] nor a comment");
	}
}

/* As many bytes as it had when it was opened, and a NUL behind them. */
static int config_read_fd(TALLOC_CTX *mem_ctx, int fd, char **text,
			  size_t *len)
{
	struct stat st;
	ssize_t got = 1;
	int ret;

	ret = fstat(fd, &st);
	if (ret != 0) {
		return errno;
	}
	if (!S_ISREG(st.st_mode)) {
		return EINVAL;
	}
	if (st.st_size > CONFIG_FILE_MAX) {
		return EFBIG;
	}
	*text = talloc_size(mem_ctx, (size_t)st.st_size + 1);
	if (*text == NULL) {
		return ENOMEM;
	}
	*len = 0;
	while (got != 0) {
		got = read(fd, *text + *len, (size_t)st.st_size - *len);
		if (got == -1 && errno != EINTR) {
			return errno;
		}
		*len += got > 0 ? (size_t)got : 0;
	}
	(*text)[*len] = '\0';
	return 0;
}

/* The file as text, on p->mem_ctx; NULL = error. */
static char *config_read_file(struct config_parser *p)
{
	char *text = NULL;
	size_t len = 0;
	size_t i;
	int fd, ret;

	fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd == -1) {
		config_fail(p, errno, "%s%s", strerror(errno),
			    errno == ENOENT ? "; start with a copy of "
			    "cavad.conf.example (cavad.conf(5))" : "");
		return NULL;
	}
	ret = config_read_fd(p->mem_ctx, fd, &text, &len);
	close(fd);
	if (ret == EFBIG) {
		config_fail(p, ret, "larger than %d bytes", CONFIG_FILE_MAX);
	} else if (ret != 0) {
		config_fail(p, ret, "%s",
			    ret == EINVAL ? "not a file" : strerror(ret));
	} else if (memchr(text, '\0', len) != NULL) {
		p->line = 1;
		for (i = 0; text[i] != '\0'; i++) {
			p->line += text[i] == '\n';
		}
		config_fail(p, EINVAL, "a NUL character: not a text file");
	}
	if (p->error != 0) {
		TALLOC_FREE(text);
	}
	return text;
}

static int config_parse_text(struct config_parser *p, const char *text)
{
	/* A byte order mark is no part of the first line. */
	p->text = strncmp(text, "\xef\xbb\xbf", 3) == 0 ? text + 3 : text;
	config_parse(p);
	p->line = 0;
	return p->error;
}

int config_read(TALLOC_CTX *mem_ctx, const char *path, char **text,
		char **error)
{
	struct config_parser p = {
		.mem_ctx = mem_ctx, .path = path, .message = error,
	};

	*error = NULL;
	*text = config_read_file(&p);
	return p.error;
}

int config_build(TALLOC_CTX *mem_ctx, const char *path, const char *text,
		 const struct overlay *over, struct config **result,
		 struct config_refusal *refusal)
{
	struct config_parser p = {
		.mem_ctx = mem_ctx, .path = path, .message = &refusal->text,
	};
	int ret;

	*refusal = (struct config_refusal) { .text = NULL };
	p.config = config_create(mem_ctx);
	if (p.config == NULL) {
		return ENOMEM;
	}
	ret = config_parse_text(&p, text);
	if (ret == 0 && over != NULL) {
		ret = config_lay(mem_ctx, p.config, over, refusal);
	}
	if (ret == 0) {
		ret = config_check(mem_ctx, p.config, refusal);
	}
	if (ret == 0) {
		ret = config_rules(p.config);
	}
	if (ret != 0) {
		talloc_free(p.config);
		return ret;
	}
	*result = p.config;
	return 0;
}

int config_load(TALLOC_CTX *mem_ctx, const char *path,
		struct config **result, char **error)
{
	struct config_refusal refusal = { .text = NULL };
	char *text = NULL;
	int ret = 0;

	*error = NULL;
	if (path != NULL) {
		ret = config_read(mem_ctx, path, &text, error);
	}
	if (ret != 0) {
		return ret;
	}
	ret = config_build(mem_ctx, path, text == NULL ? "" : text, NULL,
			   result, &refusal);
	if (ret == 0) {
		(*result)->text = talloc_steal(*result, text);
		return 0;
	}
	talloc_free(text);
	*error = refusal.text;
	if (refusal.class != NULL) {	/* no line of it alone */
		*error = talloc_asprintf(mem_ctx, "%s: %s", path,
					 refusal.text);
		talloc_free(refusal.text);
	}
	return ret;
}
