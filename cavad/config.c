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
#define CONFIG_JOBS_MAX 1000

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

/* An object of a named class, with its defaults. NULL = error. */
static void *config_object(struct config_parser *p,
			   const struct object_class *class, const char *name)
{
	const char **object = NULL;	/* the name is its first member */

	object = talloc_zero_size(p->config, class->size);
	if (object == NULL) {
		config_nomem(p);
		return NULL;
	}
	object_defaults(p->config, class, object);
	*object = talloc_strdup(p->config, name);
	if (*object == NULL) {
		config_nomem(p);
		return NULL;
	}
	return object;
}

static struct filter_object *config_find_filter(const struct config *c,
						const char *zone)
{
	size_t i;

	for (i = 0; c->filters[i] != NULL; i++) {
		if (strcasecmp(c->filters[i]->name, zone) == 0) {
			return c->filters[i];
		}
	}
	return NULL;
}

static struct server_object *config_find_server(const struct config *c,
						const char *name)
{
	size_t i;

	for (i = 0; c->servers[i] != NULL; i++) {
		if (strcasecmp(c->servers[i]->name, name) == 0) {
			return c->servers[i];
		}
	}
	return NULL;
}

static void *config_add_filter(struct config_parser *p, const char *zone)
{
	struct config *c = p->config;
	size_t n = talloc_array_length(c->filters);
	struct filter_object **list = NULL;
	struct filter_object *filter = NULL;

	if (config_find_filter(c, zone) != NULL) {
		config_fail(p, EINVAL, "[filter %s]: there is one already",
			    zone);
		return NULL;
	}
	if (n > FILTER_ZONES_MAX) {
		config_fail(p, EINVAL, "[filter %s]: there are more than %d",
			    zone, FILTER_ZONES_MAX);
		return NULL;
	}
	filter = config_object(p, &object_filter, zone);
	list = talloc_realloc(c, c->filters, struct filter_object *, n + 1);
	if (filter == NULL || list == NULL) {
		config_nomem(p);
		return NULL;
	}
	list[n - 1] = filter;
	list[n] = NULL;
	c->filters = list;
	return filter;
}

static void *config_add_server(struct config_parser *p, const char *name)
{
	struct config *c = p->config;
	size_t n = talloc_array_length(c->servers);
	struct server_object **list = NULL;
	struct server_object *server = NULL;

	if (config_find_server(c, name) != NULL) {
		config_fail(p, EINVAL, "[server %s]: there is one already",
			    name);
		return NULL;
	}
	server = config_object(p, &object_server, name);
	list = talloc_realloc(c, c->servers, struct server_object *, n + 1);
	if (server == NULL || list == NULL) {
		config_nomem(p);
		return NULL;
	}
	list[n - 1] = server;
	list[n] = NULL;
	c->servers = list;
	return server;
}

static void *config_add_job(struct config_parser *p, const char *name)
{
	struct config *c = p->config;
	size_t n = talloc_array_length(c->jobs);
	struct job_object **list = NULL;
	struct job_object *job = NULL;

	if (config_job(c, name) != NULL) {
		config_fail(p, EINVAL, "[job %s]: there is one already", name);
		return NULL;
	}
	if (n > CONFIG_JOBS_MAX) {
		config_fail(p, EINVAL, "[job %s]: there are more than %d",
			    name, CONFIG_JOBS_MAX);
		return NULL;
	}
	job = config_object(p, &object_job, name);
	list = talloc_realloc(c, c->jobs, struct job_object *, n + 1);
	if (job == NULL || list == NULL) {
		config_nomem(p);
		return NULL;
	}
	list[n - 1] = job;
	list[n] = NULL;
	c->jobs = list;
	return job;
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
	if (class == &object_filter) {
		p->object = config_add_filter(p, name);
	} else if (class == &object_job) {
		p->object = config_add_job(p, name);
	} else {
		p->object = config_add_server(p, name);
	}
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

static int config_read_fd(int fd, char *text, size_t *len)
{
	struct stat st;
	ssize_t got;
	int ret;

	ret = fstat(fd, &st);
	if (ret != 0) {
		return errno;
	}
	if (!S_ISREG(st.st_mode)) {
		return EINVAL;
	}
	*len = 0;
	while (*len <= CONFIG_FILE_MAX) {
		got = read(fd, text + *len, CONFIG_FILE_MAX + 1 - *len);
		if (got == -1 && errno != EINTR) {
			return errno;
		}
		if (got == 0) {
			break;
		}
		*len += got > 0 ? (size_t)got : 0;
	}
	return *len > CONFIG_FILE_MAX ? EFBIG : 0;
}

/* The file as text, on p->config; NULL = error. */
static char *config_read(struct config_parser *p)
{
	char *text = talloc_zero_size(p->config, CONFIG_FILE_MAX + 2);
	size_t len = 0;
	size_t i;
	int fd, ret;

	if (text == NULL) {
		config_nomem(p);
		return NULL;
	}
	fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd == -1) {
		config_fail(p, errno, "%s%s", strerror(errno),
			    errno == ENOENT ? "; start with a copy of "
			    "cavad.conf.example (cavad.conf(5))" : "");
		return NULL;
	}
	ret = config_read_fd(fd, text, &len);
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
	return p->error == 0 ? text : NULL;
}

/* ".gz" and "gz" are one extension: names that end in ".gz". */
static int config_extensions(TALLOC_CTX *mem_ctx, const char **extensions,
			     struct filter_list *list)
{
	const char **items = NULL;
	size_t n = 0;
	size_t i;
	int ret;

	while (extensions[n] != NULL) {
		n++;
	}
	items = talloc_zero_array(mem_ctx, const char *, n + 1);
	if (items == NULL) {
		return ENOMEM;
	}
	for (i = 0; i < n; i++) {
		items[i] = extensions[i] + (extensions[i][0] == '.');
	}
	ret = filter_list_make(mem_ctx, items, "*.", list);
	talloc_free(items);
	return ret;
}

int config_job_rules(TALLOC_CTX *mem_ctx, const struct job_object *job,
		     struct filter *f)
{
	int ret;

	*f = FILTER_DEFAULT;
	f->extensions_include = job->file_extensions_action == 1;
	f->no_extension_skip = !job->scan_if_no_extension;
	ret = config_extensions(mem_ctx, job->file_extensions,
				&f->extensions);
	return ret != 0 ? ret : filter_list_make(
		mem_ctx, job->paths_to_exclude, "", &f->paths);
}

/* ENUM fields are indices: in the order of the enums of filter.h. */
static int config_rules_of(TALLOC_CTX *mem_ctx,
			   const struct filter_object *object,
			   struct filter *f)
{
	int ret;

	*f = FILTER_DEFAULT;
	f->enabled = object->filter_enabled;
	f->profile = (enum filter_profile)object->scan_profile;
	f->on_read = (enum filter_trigger)object->scan_on_read;
	f->on_close = (enum filter_trigger)object->scan_on_close;
	f->on_rename = (enum filter_trigger)object->scan_on_rename;
	f->extensions_include = object->file_extensions_action == 1;
	f->no_extension_skip = !object->scan_if_no_extension;
	f->open_on_fail = object->open_on_fail;
	f->size_deny = object->scan_size_maximum_action == 1;
	f->tiered = object->scan_cloudpool_files;
	ret = config_extensions(mem_ctx, object->file_extensions,
				&f->extensions);
	ret = ret != 0 ? ret : filter_list_make(
		mem_ctx, object->paths_to_exclude, "", &f->paths);
	ret = ret != 0 ? ret : filter_list_make(
		mem_ctx, object->exempt_accounts, "", &f->accounts);
	return ret != 0 ? ret : filter_list_make(
		mem_ctx, object->exempt_hosts, "", &f->hosts);
}

static void config_rules(struct config_parser *p)
{
	struct config *c = p->config;
	size_t n = talloc_array_length(c->filters) - 1;
	size_t i;
	int ret;

	c->rules = talloc_zero_array(c, struct filter, n);
	if (c->rules == NULL) {
		config_nomem(p);
		return;
	}
	for (i = 0; i < n; i++) {
		const char *zone = c->filters[i]->name;

		ret = config_rules_of(c->rules, c->filters[i], &c->rules[i]);
		if (ret != 0) {
			config_fail(p, ret, "[filter %s]: %s", zone,
				    strerror(ret));
		}
		if (c->rules[i].extensions_include &&
		    c->rules[i].extensions.size == 0) {
			config_fail(p, EINVAL, "[filter %s] "
				    "file_extensions_action = include, but "
				    "file_extensions is empty: nothing would "
				    "be scanned; use scan_profile = no_scan "
				    "for that", zone);
		}
	}
}

static bool config_has_pool(const struct config *c, const char *pool)
{
	size_t i;

	for (i = 0; c->servers[i] != NULL; i++) {
		if (strcmp(c->servers[i]->pool, pool) == 0) {
			return true;
		}
	}
	return false;
}

/* No server at all is said by an event, and is no reason not to start. */
static void config_check_pool(struct config_parser *p, const char *class,
			      const char *name, const char *pool)
{
	const struct config *c = p->config;
	bool needless = c->servers[0] == NULL &&
			strcmp(pool, SERVER_POOL) == 0;

	if (!needless && !config_has_pool(c, pool)) {
		config_fail(p, EINVAL, "[%s %s] pool = \"%s\": no [server] "
			    "has this pool, so nothing would be scanned",
			    class, name, pool);
	}
}

static void config_check_pools(struct config_parser *p)
{
	const struct config *c = p->config;
	size_t i;

	for (i = 0; c->filters[i] != NULL; i++) {
		config_check_pool(p, "filter", c->filters[i]->name,
				  c->filters[i]->pool);
	}
	for (i = 0; c->jobs[i] != NULL; i++) {
		config_check_pool(p, "job", c->jobs[i]->name,
				  c->jobs[i]->pool);
	}
}

static void config_check_job(struct config_parser *p,
			     const struct job_object *job)
{
	const char *root = p->config->settings.check_root;
	const char *const *path = NULL;

	for (path = (const char *const *)job->paths_to_include; *path != NULL;
	     path++) {
		if (!object_path_below(*path, root)) {
			config_fail(p, EINVAL, "[job %s] paths_to_include = "
				    "\"%.100s\": not below check_root (%s)",
				    job->name, *path, root);
		}
	}
	if (job->file_extensions_action == 1 &&
	    job->file_extensions[0] == NULL) {
		config_fail(p, EINVAL, "[job %s] file_extensions_action = "
			    "include, but file_extensions is empty: nothing "
			    "would be scanned", job->name);
	}
	if (p->config->servers[0] != NULL &&
	    !config_has_pool(p->config, job->pool)) {
		config_fail(p, EINVAL, "[job %s] pool = \"%s\": no [server] "
			    "has this pool, so nothing would be scanned",
			    job->name, job->pool);
	}
}

static void config_check_jobs(struct config_parser *p)
{
	size_t i;

	for (i = 0; p->config->jobs[i] != NULL; i++) {
		config_check_job(p, p->config->jobs[i]);
	}
}

/* What one field cannot know. */
static void config_check(struct config_parser *p)
{
	const struct settings *s = &p->config->settings;
	const char *unset = NULL;
	size_t i;

	p->line = 0;
	for (i = 0; p->config->servers[i] != NULL; i++) {
		unset = object_unset(&object_server, p->config->servers[i]);
		if (unset != NULL) {
			config_fail(p, EINVAL, "[server %s] %s is not set",
				    p->config->servers[i]->name, unset);
		}
	}
	if (strcmp(s->ipc_socket, s->api_socket) == 0) {
		config_fail(p, EINVAL, "[settings] api_socket = \"%s\": is "
			    "ipc_socket as well", s->api_socket);
	}
	if (object_path_below(s->spool_dir, s->state_dir)) {
		config_fail(p, EINVAL, "[settings] spool_dir = \"%s\": is or "
			    "lies in state_dir, but it must belong to root, "
			    "and state_dir to user", s->spool_dir);
	}
	if (object_path_below(s->state_dir, s->spool_dir)) {
		config_fail(p, EINVAL, "[settings] state_dir = \"%s\": lies "
			    "in spool_dir, where only root may go",
			    s->state_dir);
	}
	config_check_pools(p);
	config_check_jobs(p);
	if (p->error == 0) {
		config_rules(p);
	}
}

/* A talloc tree whose top is the config. NULL = no memory. */
static struct config *config_create(TALLOC_CTX *mem_ctx)
{
	struct config *c = talloc_zero(mem_ctx, struct config);

	if (c == NULL) {
		return NULL;
	}
	c->filters = talloc_zero_array(c, struct filter_object *, 1);
	c->servers = talloc_zero_array(c, struct server_object *, 1);
	c->jobs = talloc_zero_array(c, struct job_object *, 1);
	if (c->filters == NULL || c->servers == NULL || c->jobs == NULL) {
		talloc_free(c);
		return NULL;
	}
	object_defaults(c, &object_settings, &c->settings);
	object_defaults(c, &object_cee, &c->cee);
	return c;
}

int config_load(TALLOC_CTX *mem_ctx, const char *path,
		struct config **result, char **error)
{
	struct config_parser p = {
		.mem_ctx = mem_ctx, .path = path, .message = error,
	};
	char *text = NULL;

	*error = NULL;
	p.config = config_create(mem_ctx);
	if (p.config == NULL) {
		return ENOMEM;
	}
	if (path != NULL) {
		text = config_read(&p);
	}
	if (text != NULL) {
		/* A byte order mark is no part of the first line. */
		p.text = strncmp(text, "\xef\xbb\xbf", 3) == 0 ? text + 3
							       : text;
		config_parse(&p);
		talloc_free(text);
	}
	if (p.error == 0) {
		config_check(&p);
	}
	if (p.error != 0) {
		talloc_free(p.config);
		return p.error;
	}
	*result = p.config;
	return 0;
}

const struct filter_object *config_zone(const struct config *c,
					const char *zone)
{
	return config_find_filter(c, zone);
}

const char *config_pool(const struct config *c, const char *zone)
{
	const struct filter_object *filter = config_find_filter(c, zone);

	return filter != NULL && filter->pool != NULL ? filter->pool :
		SERVER_POOL;
}

/* Of rescan_on_signatures in object.def. */
enum { CONFIG_RESCAN_NEVER, CONFIG_RESCAN_READ, CONFIG_RESCAN_JOB };

int64_t config_signature_min(const struct config *c, bool job)
{
	switch (c->settings.rescan_on_signatures) {
	case CONFIG_RESCAN_READ:
		return c->signatures;
	case CONFIG_RESCAN_JOB:
		return job ? c->signatures : 0;
	default:
		return 0;
	}
}

static uint32_t config_ms(uint64_t seconds)
{
	return seconds > UINT32_MAX / 1000 ? UINT32_MAX : seconds * 1000;
}

struct filter config_filter(const struct config *c, const char *zone)
{
	const struct settings *s = &c->settings;
	struct filter f = FILTER_DEFAULT;
	size_t i;

	for (i = 0; c->filters[i] != NULL; i++) {
		if (strcasecmp(c->filters[i]->name, zone) == 0) {
			f = c->rules[i];
			break;
		}
	}
	f.enabled = f.enabled && s->service_enabled;
	f.denial = (enum filter_denial)s->denial;
	f.scan_timeout = config_ms(s->scan_timeout);
	f.tiered_timeout = config_ms(s->scan_cloudpool_timeout);
	f.sync_wait = s->sync_wait;
	f.size_maximum = s->scan_size_maximum;
	f.signature_min = config_signature_min(c, false);
	return f;
}

const struct job_object *config_job(const struct config *c, const char *name)
{
	size_t i;

	for (i = 0; c->jobs[i] != NULL; i++) {
		if (strcasecmp(c->jobs[i]->name, name) == 0) {
			return c->jobs[i];
		}
	}
	return NULL;
}
