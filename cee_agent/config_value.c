/*
 * Values in cee_agent's configuration. See config_value.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "cee_agent/config_value.h"

#define CONFIG_HOST_MAX 255

int config_value_number(const char *value, uint64_t min, uint64_t max,
			bool size, uint64_t *result)
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
	if (*end != '\0' && size) {
		unit = strchr(units, toupper((unsigned char)*end));
	}
	if (unit != NULL) {
		unsigned int shift = 10 * (unsigned int)(unit - units + 1);

		if (n > max >> shift) {
			return EINVAL;
		}
		n <<= shift;
		end++;
	}
	if (*end != '\0' || n < min || n > max) {
		return EINVAL;
	}
	*result = n;
	return 0;
}

int config_value_choice(const char *value, const char *const *words,
			uint64_t *result)
{
	size_t i;

	for (i = 0; words[i] != NULL; i++) {
		if (strcmp(value, words[i]) == 0) {
			*result = i;
			return 0;
		}
	}
	return EINVAL;
}

static int config_value_tcp(TALLOC_CTX *mem_ctx, const char *value,
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
	result->text = talloc_strdup(mem_ctx, value);
	return result->text == NULL ? ENOMEM : 0;
}

int config_value_listen(TALLOC_CTX *mem_ctx, const char *value,
			struct address *result)
{
	if (value[0] == '\0') {
		result->len = 0;
		result->text = "";
		return 0;
	}
	return config_value_tcp(mem_ctx, value, result);
}

int config_value_clamd(TALLOC_CTX *mem_ctx, const char *value,
		       struct clamd_list *list)
{
	struct address *a = &list->addresses[list->num];
	struct sockaddr_un *un = (struct sockaddr_un *)&a->sa;
	int ret;

	if (list->num == AGENT_CLAMDS_MAX) {
		return EINVAL;
	}
	if (value[0] != '/') {
		if (strncmp(value, "tcp ", 4) == 0) {
			value += 4 + strspn(value + 4, " \t");
		}
		ret = config_value_tcp(mem_ctx, value, a);
		list->num += ret == 0;
		return ret;
	}
	if (strlen(value) >= sizeof(un->sun_path)) {
		return EINVAL;
	}
	un->sun_family = AF_UNIX;
	strcpy(un->sun_path, value);
	a->len = sizeof(*un);
	a->text = talloc_strdup(mem_ctx, value);
	list->num++;
	return a->text == NULL ? ENOMEM : 0;
}

int config_value_hosts(TALLOC_CTX *mem_ctx, const char *value,
		       struct host_names *hosts)
{
	char *copy = talloc_strdup(mem_ctx, value);
	char *save = NULL;
	char *word = NULL;

	if (copy == NULL) {
		return ENOMEM;
	}
	for (word = strtok_r(copy, ", \t", &save); word != NULL;
	     word = strtok_r(NULL, ", \t", &save)) {
		if (hosts->num == AGENT_HOSTS_MAX ||
		    strlen(word) > CONFIG_HOST_MAX) {
			return EINVAL;
		}
		hosts->names[hosts->num++] = word;
	}
	return hosts->num == 0 ? EINVAL : 0;
}
