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
#include <errno.h>
#include <ini.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "cee_agent/config.h"
#include "cee_agent/config_check.h"
#include "cee_agent/config_value.h"

/* ClamAV looks at no larger file, whatever its configuration says. */
#define CLAMAV_SIZE_MAX ((UINT64_C(2) << 30) - 1)

enum field_kind { FIELD_TEXT, FIELD_NUMBER, FIELD_SIZE, FIELD_LISTEN,
		  FIELD_CLAMD, FIELD_ACCESS, FIELD_HOSTS, FIELD_LOGIN,
		  FIELD_ENCRYPTION };

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
	{ "https_listen", FIELD_LISTEN, AGENT(https_listen), 0, 0 },
	{ "https_certificate", FIELD_TEXT, AGENT(https_certificate), 0, 0 },
	{ "https_key", FIELD_TEXT, AGENT(https_key), 0, 0 },
	{ "allow", FIELD_ACCESS, AGENT(allow), 0, 0 },
	{ "status_allow", FIELD_ACCESS, AGENT(status_allow), 0, 0 },
	{ "clamd", FIELD_CLAMD, AGENT(clamd), 0, 0 },
	{ "clamd_conf", FIELD_TEXT, AGENT(clamd_conf), 0, 0 },
	{ "max_size", FIELD_SIZE, AGENT(max_size), 1, CLAMAV_SIZE_MAX },
	{ "workers", FIELD_NUMBER, AGENT(workers), 1, AGENT_WORKERS_MAX },
	{ "timeout", FIELD_NUMBER, AGENT(timeout), 1, 3600 },
	{ "max_connections", FIELD_NUMBER, AGENT(max_connections), 1, 4096 },
	{ "max_connections_per_host", FIELD_NUMBER,
	  AGENT(max_connections_per_host), 1, 4096 },
	{ "idle_timeout", FIELD_NUMBER, AGENT(idle_timeout), 1, 3600 },
	{ "version", FIELD_TEXT, AGENT(version), 0, 0 },
	{ "user", FIELD_TEXT, AGENT(user), 0, 0 },
	{ .name = NULL }
};

#define STORAGE(NAME) offsetof(struct storage, NAME)

static const struct field storage_fields[] = {
	{ "host", FIELD_HOSTS, STORAGE(hosts), 0, 0 },
	{ "port", FIELD_NUMBER, STORAGE(port), 1, 65535 },
	{ "share", FIELD_TEXT, STORAGE(share), 0, 0 },
	{ "user", FIELD_TEXT, STORAGE(user), 0, 0 },
	{ "domain", FIELD_TEXT, STORAGE(domain), 0, 0 },
	{ "login", FIELD_LOGIN, STORAGE(login), 0, 0 },
	{ "password_file", FIELD_TEXT, STORAGE(password_file), 0, 0 },
	{ "keytab", FIELD_TEXT, STORAGE(keytab), 0, 0 },
	{ "ccache", FIELD_TEXT, STORAGE(ccache), 0, 0 },
	{ "encryption", FIELD_ENCRYPTION, STORAGE(encryption), 0, 0 },
	{ "max_scans", FIELD_NUMBER, STORAGE(max_scans), 1,
	  AGENT_WORKERS_MAX },
	{ .name = NULL }
};

static const char *const login_words[] = { "ntlm", "kerberos", NULL };
static const char *const encryption_words[] = { "if_offered", "if_required",
						"required", NULL };

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

static int config_access(TALLOC_CTX *mem_ctx, const char *value,
			 struct access **result)
{
	if (*result == NULL) {
		*result = access_create(mem_ctx);
	}
	return *result == NULL ? ENOMEM : access_add(*result, value);
}

static int config_set(struct agent_config *c, const struct field *f,
		      void *object, const char *value)
{
	void *at = (char *)object + f->offset;

	switch (f->kind) {
	case FIELD_TEXT:
		return config_text(c, value, at);
	case FIELD_NUMBER:
	case FIELD_SIZE:
		return config_value_number(value, f->min, f->max,
					   f->kind == FIELD_SIZE, at);
	case FIELD_LISTEN:
		return config_value_listen(c, value, at);
	case FIELD_CLAMD:
		return config_value_clamd(c, value, at);
	case FIELD_ACCESS:
		return config_access(c, value, at);
	case FIELD_HOSTS:
		return config_value_hosts(c, value, at);
	case FIELD_LOGIN:
		return config_value_choice(value, login_words, at);
	case FIELD_ENCRYPTION:
		return config_value_choice(value, encryption_words, at);
	}
	return EINVAL;
}

/* Keys that may be there several times: each adds to a list. */
static bool config_is_list(const struct field *f)
{
	return f->kind == FIELD_ACCESS || f->kind == FIELD_CLAMD ||
	       f->kind == FIELD_HOSTS;
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
	if ((*seen & 1U << i) && !config_is_list(&fields[i])) {
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

static int config_defaults(struct agent_config *c)
{
	c->version = CAVA_VERSION;
	c->user = "";
	c->https_listen.text = "";
	c->workers = 20;
	c->max_size = 25 << 20;
	c->max_size_why = "max_size";
	c->timeout = 60;
	c->max_connections = 256;
	c->max_connections_per_host = 128;
	c->idle_timeout = 120;
	return config_value_listen(c, "127.0.0.1:12228", &c->listen);
}

/* The defaults of lists, which what is said would only add to. */
static int config_list_defaults(struct agent_config *c)
{
	int ret = 0;

	if (c->allow == NULL) {
		ret = config_access(c, "127.0.0.0/8 ::1", &c->allow);
	}
	if (ret == 0 && c->status_allow == NULL) {
		ret = config_access(c, "127.0.0.0/8 ::1", &c->status_allow);
	}
	if (ret == 0 && c->clamd.num == 0) {
		ret = config_value_clamd(c, "/run/clamav/clamd.ctl",
					 &c->clamd);
	}
	return ret;
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
	return config_list_defaults(c);
}

int agent_config_load(TALLOC_CTX *mem_ctx, const char *path, bool check,
		      struct agent_config **result, char **error)
{
	struct config_load load = { .config = NULL };
	char *wrong = NULL;
	int ret;

	load.config = talloc_zero(mem_ctx, struct agent_config);
	if (load.config == NULL) {
		return ENOMEM;
	}
	load.config->path = talloc_strdup(load.config, path);
	ret = load.config->path == NULL ? ENOMEM :
	      config_defaults(load.config);
	if (ret == 0) {
		ret = config_read(&load, path);
	}
	if (ret == 0) {
		wrong = config_check(load.config, check);
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
	*result = load.config;
	return 0;
}

const struct storage *agent_config_storage(const struct agent_config *c,
					   const char *host)
{
	size_t i;
	size_t j;

	for (i = 0; i < c->num_storages; i++) {
		const struct host_names *hosts = &c->storages[i].hosts;

		for (j = 0; j < hosts->num; j++) {
			if (strcasecmp(hosts->names[j], host) == 0) {
				return &c->storages[i];
			}
		}
	}
	return NULL;
}
