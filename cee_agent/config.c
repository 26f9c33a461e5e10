/*
 * Configuration of cee_agent. See config.h.
 *
 * Each key is a row: its name, how its value is read, where it goes, its
 * bounds. Anything that is not understood is an error with its line: a
 * misspelt access list must not become the default one.
 *
 * A password is only read from a file that nobody else can read, and never
 * stands in the configuration itself.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <netdb.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cee_agent/config.h"

#define PASSWORD_MAX 512

enum field_kind { FIELD_TEXT, FIELD_NUMBER, FIELD_SIZE, FIELD_LISTEN,
		  FIELD_CLAMD, FIELD_ACCESS };

struct field {
	const char *name;
	enum field_kind kind;
	size_t offset;
	uint64_t min;
	uint64_t max;
};

#define AGENT(NAME) offsetof(struct agent_config, NAME)

static const struct field agent_fields[] = {
	{ "listen", FIELD_LISTEN, AGENT(listen), 0, 0 },
	{ "clamd", FIELD_CLAMD, AGENT(clamd), 0, 0 },
	{ "allow", FIELD_ACCESS, AGENT(allow), 0, 0 },
	{ "workers", FIELD_NUMBER, AGENT(workers), 4, 20 },
	{ "max_size", FIELD_SIZE, AGENT(max_size), 1, UINT64_MAX / 2 },
	{ "timeout", FIELD_NUMBER, AGENT(timeout), 1, 3600 },
	{ "version", FIELD_TEXT, AGENT(version), 0, 0 },
	{ "user", FIELD_TEXT, AGENT(user), 0, 0 },
	{ .name = NULL }
};

#define STORAGE(NAME) offsetof(struct storage, NAME)

static const struct field storage_fields[] = {
	{ "host", FIELD_TEXT, STORAGE(host), 0, 0 },
	{ "port", FIELD_NUMBER, STORAGE(port), 1, 65535 },
	{ "share", FIELD_TEXT, STORAGE(share), 0, 0 },
	{ "user", FIELD_TEXT, STORAGE(user), 0, 0 },
	{ "domain", FIELD_TEXT, STORAGE(domain), 0, 0 },
	{ "password_file", FIELD_TEXT, STORAGE(password_file), 0, 0 },
	{ .name = NULL }
};

struct config_load {
	struct agent_config *config;
	char *error;		/* the first one */
};

static int config_text(TALLOC_CTX *mem_ctx, const char *value,
		       const char **result)
{
	char *copy = talloc_strdup(mem_ctx, value);

	if (copy == NULL) {
		return ENOMEM;
	}
	*result = copy;
	return 0;
}

/* A number, for sizes with K, M or G after it. 0 or EINVAL. */
static int config_number(const struct field *f, const char *value,
			 uint64_t *result)
{
	static const char units[] = "KMG";
	const char *unit = NULL;
	unsigned long long n;
	char *end = NULL;

	if (!isdigit((unsigned char)value[0])) {
		return EINVAL;
	}
	errno = 0;
	n = strtoull(value, &end, 10);
	if (errno != 0) {
		return EINVAL;
	}
	if (*end != '\0' && f->kind == FIELD_SIZE) {
		unit = strchr(units, toupper((unsigned char)*end));
	}
	if (unit != NULL) {
		unsigned int shift = 10 * (unsigned int)(unit - units + 1);

		if (n > f->max >> shift) {
			return EINVAL;
		}
		n <<= shift;
		end++;
	}
	if (*end != '\0' || n < f->min || n > f->max) {
		return EINVAL;
	}
	*result = n;
	return 0;
}

/* ADDRESS:PORT, an IPv6 address in brackets. 0, EINVAL, ENOMEM. */
static int config_tcp(TALLOC_CTX *mem_ctx, const char *value,
		      struct address *result)
{
	struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *ai = NULL;
	char *host = talloc_strdup(mem_ctx, value);
	char *colon = NULL;
	int ret;

	if (host == NULL) {
		return ENOMEM;
	}
	colon = strrchr(host, ':');
	if (colon == NULL || colon == host) {
		return EINVAL;
	}
	*colon = '\0';
	if (host[0] == '[' && colon[-1] == ']') {
		colon[-1] = '\0';
		host++;
	}
	ret = getaddrinfo(host, colon + 1, &hints, &ai);
	if (ret != 0) {
		return EINVAL;
	}
	memcpy(&result->sa, ai->ai_addr, ai->ai_addrlen);
	result->len = ai->ai_addrlen;
	freeaddrinfo(ai);
	return config_text(mem_ctx, value, &result->text);
}

/* /PATH or tcp ADDRESS:PORT */
static int config_clamd(TALLOC_CTX *mem_ctx, const char *value,
			struct address *result)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&result->sa;

	if (value[0] != '/') {
		if (strncmp(value, "tcp ", 4) == 0) {
			value += 4 + strspn(value + 4, " \t");
		}
		return config_tcp(mem_ctx, value, result);
	}
	if (strlen(value) >= sizeof(un->sun_path)) {
		return EINVAL;
	}
	memset(&result->sa, 0, sizeof(result->sa));
	un->sun_family = AF_UNIX;
	strcpy(un->sun_path, value);
	result->len = sizeof(*un);
	return config_text(mem_ctx, value, &result->text);
}

static int config_set(struct agent_config *c, const struct field *f,
		      void *object, const char *value)
{
	void *at = (char *)object + f->offset;
	struct access **allow = at;

	switch (f->kind) {
	case FIELD_TEXT:
		return config_text(c, value, at);
	case FIELD_NUMBER:
	case FIELD_SIZE:
		return config_number(f, value, at);
	case FIELD_LISTEN:
		return config_tcp(c, value, at);
	case FIELD_CLAMD:
		return config_clamd(c, value, at);
	case FIELD_ACCESS:
		if (*allow == NULL) {
			*allow = access_create(c);
		}
		return *allow == NULL ? ENOMEM : access_add(*allow, value);
	}
	return EINVAL;
}

/* The one of that name, a new one, or NULL when there are too many. */
static struct storage *config_storage(struct agent_config *c,
				      const char *name)
{
	struct storage *s = NULL;
	size_t i;

	for (i = 0; i < c->num_storages; i++) {
		if (strcmp(c->storages[i].name, name) == 0) {
			return &c->storages[i];
		}
	}
	if (c->num_storages == AGENT_STORAGES_MAX || name[0] == '\0') {
		return NULL;
	}
	s = &c->storages[c->num_storages];
	s->name = talloc_strdup(c, name);
	if (s->name == NULL) {
		return NULL;
	}
	s->share = "CHECK$";
	s->domain = "";
	s->port = 445;
	c->num_storages++;
	return s;
}

/* The object of a section and the table of its fields; NULL = none. */
static void *config_section(struct agent_config *c, const char *section,
			    const struct field **fields, unsigned int **seen)
{
	struct storage *s = NULL;

	if (strcmp(section, "agent") == 0) {
		*fields = agent_fields;
		*seen = &c->seen;
		return c;
	}
	if (strncmp(section, "storage ", 8) != 0) {
		return NULL;
	}
	s = config_storage(c, section + 8);
	if (s != NULL) {
		*fields = storage_fields;
		*seen = &s->seen;
	}
	return s;
}

/* NULL, or what is wrong with this line. */
static char *config_assign(struct agent_config *c, const char *section,
			   const char *name, const char *value)
{
	const struct field *fields = NULL;
	unsigned int *seen = NULL;
	void *object = NULL;
	size_t i = 0;
	int ret;

	object = config_section(c, section, &fields, &seen);
	if (object == NULL) {
		return talloc_asprintf(c, "section [%s]: not [agent] or one "
				       "of at most %d [storage NAME]",
				       section, AGENT_STORAGES_MAX);
	}
	while (fields[i].name != NULL && strcmp(fields[i].name, name) != 0) {
		i++;
	}
	if (fields[i].name == NULL) {
		return talloc_asprintf(c, "[%s] has no key %s", section,
				       name);
	}
	if ((*seen & 1U << i) && fields[i].kind != FIELD_ACCESS) {
		return talloc_asprintf(c, "[%s] %s is there twice", section,
				       name);
	}
	*seen |= 1U << i;
	ret = config_set(c, &fields[i], object, value);
	if (ret != 0) {
		return talloc_asprintf(c, "[%s] %s = %s: not a valid value, "
				       "see cee_agent(8)", section, name,
				       value);
	}
	return NULL;
}

/* Called by inih for each line; 0 makes ini_parse() return its number. */
static int config_line(void *private_data, const char *section,
		       const char *name, const char *value)
{
	struct config_load *load = private_data;

	if (load->error == NULL) {
		load->error = config_assign(load->config, section, name,
					    value);
	}
	return load->error == NULL;
}

/* Whose file it may be: ours, or that of the user we are going to be. */
static bool config_owner_ok(const struct agent_config *c, uid_t owner)
{
	const struct passwd *pw = NULL;

	if (owner == geteuid()) {
		return true;
	}
	if (c->user[0] != '\0') {
		pw = getpwnam(c->user);
	}
	return pw != NULL && owner == pw->pw_uid;
}

/* The first line of a private file. NULL and *error. */
static const char *config_password(struct agent_config *c,
				   const char *path, char **error)
{
	char text[PASSWORD_MAX] = "";
	struct stat st;
	ssize_t got = -1;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1 || fstat(fd, &st) == -1) {
		*error = talloc_asprintf(c, "password_file %s: %s", path,
					 strerror(errno));
	} else if (!S_ISREG(st.st_mode) ||
		   ((st.st_mode & 07777) != 0600 &&
		    (st.st_mode & 07777) != 0400) ||
		   !config_owner_ok(c, st.st_uid)) {
		*error = talloc_asprintf(c, "password_file %s: must be a "
					 "file of mode 0600 or 0400 that "
					 "belongs to the agent's user",
					 path);
	} else {
		got = read(fd, text, sizeof(text) - 1);
	}
	if (fd != -1) {
		close(fd);
	}
	text[strcspn(text, "\r\n")] = '\0';
	if (*error == NULL && (got <= 0 || text[0] == '\0')) {
		*error = talloc_asprintf(c, "password_file %s: its first "
					 "line is empty", path);
	}
	return *error != NULL ? NULL : talloc_strdup(c, text);
}

/* What only the whole file shows. NULL or what is wrong. */
static char *config_check(struct agent_config *c)
{
	char *error = NULL;
	size_t i;
	size_t j;

	for (i = 0; i < c->num_storages; i++) {
		struct storage *s = &c->storages[i];

		if (s->host == NULL || s->user == NULL ||
		    s->password_file == NULL) {
			return talloc_asprintf(c, "[storage %s] needs host, "
					       "user and password_file",
					       s->name);
		}
		for (j = 0; j < i; j++) {
			if (strcasecmp(c->storages[j].host, s->host) == 0) {
				return talloc_asprintf(
					c, "[storage %s] has the same host "
					"as [storage %s]", s->name,
					c->storages[j].name);
			}
		}
		s->password = config_password(c, s->password_file, &error);
		if (error != NULL) {
			return talloc_asprintf(c, "[storage %s] %s", s->name,
					       error);
		}
	}
	if (c->num_storages == 0) {
		return talloc_strdup(c, "there is no [storage NAME] section: "
				     "every scan would be refused");
	}
	return NULL;
}

static int config_defaults(struct agent_config *c)
{
	int ret;

	c->version = CAVA_VERSION;
	c->user = "";
	c->workers = 8;
	c->max_size = 25 << 20;
	c->timeout = 60;
	ret = config_tcp(c, "127.0.0.1:12228", &c->listen);
	if (ret != 0) {
		return ret;
	}
	return config_clamd(c, "/run/clamav/clamd.ctl", &c->clamd);
}

/* 0 or EINVAL, ENOMEM; what the file says is in load->config. */
static int config_read(struct config_load *load, const char *path)
{
	struct agent_config *c = load->config;
	int line;

	line = ini_parse(path, config_line, load);
	if (line < 0) {
		load->error = talloc_asprintf(c, "%s: %s", path,
					      strerror(errno));
		return EINVAL;
	}
	if (line > 0) {
		load->error = talloc_asprintf(
			c, "%s line %d: %s", path, line, load->error != NULL ?
			load->error : "neither [SECTION] nor KEY = VALUE");
		return EINVAL;
	}
	if (c->allow == NULL) {
		c->allow = access_create(c);
		if (c->allow == NULL) {
			return ENOMEM;
		}
		return access_add(c->allow, "127.0.0.0/8 ::1");
	}
	return 0;
}

int agent_config_load(TALLOC_CTX *mem_ctx, const char *path,
		      struct agent_config **result, char **error)
{
	struct config_load load = { .config = NULL };
	char *wrong = NULL;
	int ret;

	load.config = talloc_zero(mem_ctx, struct agent_config);
	if (load.config == NULL) {
		return ENOMEM;
	}
	ret = config_defaults(load.config);
	if (ret == 0) {
		ret = config_read(&load, path);
	}
	if (ret == 0) {
		wrong = config_check(load.config);
		if (wrong != NULL) {
			load.error = talloc_asprintf(load.config, "%s: %s",
						     path, wrong);
			ret = EINVAL;
		}
	}
	if (ret != 0) {
		*error = talloc_steal(mem_ctx, load.error);
		talloc_free(load.config);
		return ret;
	}
	load.config->path = path;
	*result = load.config;
	return 0;
}
