/*
 * What only the whole of cee_agent's configuration shows. See
 * config_check.h.
 *
 * All files that it names are read here: what cannot be had is an error
 * before the old configuration has gone, not in the middle of a scan.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cee_agent/clamd_conf.h"
#include "cee_agent/config_check.h"
#include "cee_agent/secret.h"

#define PASSWORD_MAX 511
#define PEM_MAX (256 * 1024)
#define CLAMD_CONF_MAX (256 * 1024)

static struct secret_owner config_owner(const struct agent_config *c,
					bool check)
{
	return (struct secret_owner) {
		.user = c->user,
		.any = check && geteuid() == 0,
	};
}

/* The text of a file that is no secret. NULL with errno. */
static char *config_file(TALLOC_CTX *mem_ctx, const char *path, size_t max)
{
	char *text = talloc_zero_array(mem_ctx, char, max + 1);
	ssize_t got = -1;
	int error;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd != -1 && text != NULL) {
		got = read(fd, text, max);
	}
	error = text == NULL ? ENOMEM : errno;
	if (fd != -1) {
		close(fd);
	}
	if (got == -1) {
		TALLOC_FREE(text);
		errno = error;
	}
	return text;
}

/* The first line of a private file. NULL and *error. */
static const char *config_password(struct agent_config *c, bool check,
				   const char *path, char **error)
{
	const struct secret_owner owner = config_owner(c, check);
	char *text = secret_read(c, path, &owner, PASSWORD_MAX, error);

	if (text == NULL) {
		return NULL;
	}
	text[strcspn(text, "\r\n")] = '\0';
	if (text[0] == '\0') {
		*error = talloc_strdup(c, "its first line is empty");
		return NULL;
	}
	return text;
}

/* What Kerberos itself asks for. NULL or what is wrong. */
static char *config_kerberos(struct agent_config *c, const struct storage *s)
{
	struct in_addr ip4;
	size_t i;

	if (s->login != LOGIN_KERBEROS) {
		return s->password_file != NULL ? NULL : talloc_asprintf(
			c, "[storage %s] keytab and ccache are for login = "
			"kerberos", s->name);
	}
	if (strchr(s->user, '@') == NULL) {
		return talloc_asprintf(c, "[storage %s] user = %s: login = "
				       "kerberos needs NAME@REALM", s->name,
				       s->user);
	}
	for (i = 0; i < s->hosts.num; i++) {
		if (inet_pton(AF_INET, s->hosts.names[i], &ip4) == 1) {
			return talloc_asprintf(
				c, "[storage %s] host = %s: there are no "
				"Kerberos tickets for addresses: name the "
				"host, here and in ip_pool there", s->name,
				s->hosts.names[i]);
		}
	}
	return NULL;
}

/* What is wrong with how this storage is logged in at, or NULL. */
static char *config_login(struct agent_config *c, struct storage *s,
			  bool check)
{
	const struct secret_owner owner = config_owner(c, check);
	const char *key = "password_file";
	const char *path = s->password_file;
	char *error = NULL;
	char *wrong = NULL;

	if ((s->password_file != NULL) + (s->keytab != NULL) +
	    (s->ccache != NULL) != 1) {
		return talloc_asprintf(c, "[storage %s] needs one of "
				       "password_file, keytab and ccache",
				       s->name);
	}
	wrong = config_kerberos(c, s);
	if (wrong != NULL) {
		return wrong;
	}
	if (s->password_file != NULL) {
		s->password = config_password(c, check, path, &error);
	} else if (s->keytab != NULL) {
		key = "keytab";
		path = s->keytab;
		secret_is_private(c, path, &owner, &error);
	}
	if (error == NULL) {
		return NULL;
	}
	return talloc_asprintf(c, "[storage %s] %s %s: %s", s->name, key,
			       path, error);
}

/* The storage before this one that has one of its names, or NULL. */
static const struct storage *config_twin(const struct agent_config *c,
					 const struct storage *s)
{
	const struct storage *other = NULL;
	size_t i;

	for (i = 0; i < s->hosts.num; i++) {
		other = agent_config_storage(c, s->hosts.names[i]);
		if (other != s) {
			return other;
		}
	}
	return NULL;
}

static char *config_storage_check(struct agent_config *c, struct storage *s,
				  bool check)
{
	const struct storage *twin = NULL;

	if (s->hosts.num == 0 || s->user == NULL) {
		return talloc_asprintf(c, "[storage %s] needs host, user and "
				       "password_file", s->name);
	}
	twin = config_twin(c, s);
	if (twin != NULL) {
		return talloc_asprintf(c, "[storage %s] has the same host as "
				       "[storage %s]", s->name, twin->name);
	}
	return config_login(c, s, check);
}

static char *config_https(struct agent_config *c, bool check)
{
	const struct secret_owner owner = config_owner(c, check);
	char *error = NULL;

	if (c->listen.len == 0 && c->https_listen.len == 0) {
		return talloc_strdup(c, "[agent] listen and https_listen are "
				     "both empty: nobody could ask");
	}
	if (c->https_listen.len == 0) {
		return NULL;
	}
	if (c->https_certificate == NULL || c->https_key == NULL) {
		return talloc_strdup(c, "[agent] https_listen needs "
				     "https_certificate and https_key");
	}
	c->certificate_pem = config_file(c, c->https_certificate, PEM_MAX);
	if (c->certificate_pem == NULL) {
		return talloc_asprintf(c, "[agent] https_certificate %s: %s",
				       c->https_certificate,
				       strerror(errno));
	}
	c->key_pem = secret_read(c, c->https_key, &owner, PEM_MAX, &error);
	if (c->key_pem == NULL) {
		return talloc_asprintf(c, "[agent] https_key %s: %s",
				       c->https_key, error);
	}
	return NULL;
}

/* What clamd would not look at is over the limit for us as well. */
static char *config_clamd_limits(struct agent_config *c)
{
	struct clamd_limits limits;
	const char *option = NULL;
	char *text = NULL;
	uint64_t least;

	if (c->clamd_conf == NULL) {
		return NULL;
	}
	text = config_file(c, c->clamd_conf, CLAMD_CONF_MAX);
	if (text == NULL) {
		return talloc_asprintf(c, "[agent] clamd_conf %s: %s",
				       c->clamd_conf, strerror(errno));
	}
	clamd_conf_parse(text, &limits);
	talloc_free(text);
	least = clamd_conf_smallest(&limits, &option);
	if (least < c->max_size) {
		c->max_size = least;
		c->max_size_why = option;
	}
	c->alerts_unknown = !limits.alert_exceeds;
	return NULL;
}

char *config_check(struct agent_config *c, bool check)
{
	char *wrong = NULL;
	size_t i;

	for (i = 0; i < c->num_storages && wrong == NULL; i++) {
		wrong = config_storage_check(c, &c->storages[i], check);
	}
	if (wrong == NULL && c->num_storages == 0) {
		wrong = talloc_strdup(c, "there is no [storage NAME] "
				      "section: every scan would be refused");
	}
	if (wrong == NULL) {
		wrong = config_https(c, check);
	}
	if (wrong == NULL) {
		wrong = config_clamd_limits(c);
	}
	return wrong;
}
