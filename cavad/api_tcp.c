/*
 * Sockets and files of the API on TCP: see api_tcp.h.
 *
 * The key and the accounts are secrets: a file that others may read or write
 * is refused, so that the slip is noticed at once.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/api_tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cavad/web.h"

#define API_TCP_FILE_MAX 1048576	/* bytes */
#define API_TCP_BACKLOG 128

/* --- files --- */

static int api_tcp_fail(TALLOC_CTX *mem_ctx, char **error, int ret,
			const char *name, const char *value, const char *why)
{
	*error = talloc_asprintf(mem_ctx, "[settings] %s = %s: %s", name,
				 value, why);
	return ret;
}

/* NULL, or what is wrong with its rights. */
static const char *api_tcp_rights(const struct stat *st, bool secret)
{
	if (!S_ISREG(st->st_mode)) {
		return "not a regular file";
	}
	if (st->st_size > API_TCP_FILE_MAX) {
		return "larger than 1 MiB";
	}
	if ((st->st_mode & 022) != 0) {
		return "others than its owner may write it (chmod go-w)";
	}
	if (secret && (st->st_mode & 007) != 0) {
		return "everybody may read it (chmod o=)";
	}
	return NULL;
}

static int api_tcp_file(TALLOC_CTX *mem_ctx, const char *name,
			const char *path, bool secret, char **text,
			char **error)
{
	struct stat st;
	const char *why = NULL;
	ssize_t n = 0;
	int ret = 0;
	int fd = -1;

	if (path[0] == '\0') {
		return api_tcp_fail(mem_ctx, error, EINVAL, name, "",
				    "is needed with api_listen");
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1 || fstat(fd, &st) != 0) {
		ret = errno;
		if (fd != -1) {
			close(fd);
		}
		return api_tcp_fail(mem_ctx, error, ret, name, path,
				    strerror(ret));
	}
	why = api_tcp_rights(&st, secret);
	if (why != NULL) {
		close(fd);
		return api_tcp_fail(mem_ctx, error, EPERM, name, path, why);
	}
	*text = talloc_zero_size(mem_ctx, (size_t)st.st_size + 1);
	n = *text == NULL ? -1 : read(fd, *text, (size_t)st.st_size);
	ret = n == st.st_size ? 0 : EIO;
	close(fd);
	if (ret != 0) {
		return api_tcp_fail(mem_ctx, error, ret, name, path,
				    strerror(ret));
	}
	return 0;
}

static int api_tcp_accounts(struct api_tcp_files *f, const struct settings *s,
			    TALLOC_CTX *mem_ctx, char **error)
{
	char *text = NULL;
	char *why = NULL;
	int ret = api_tcp_file(mem_ctx, "api_accounts", s->api_accounts, true,
			       &text, error);

	if (ret != 0) {
		return ret;
	}
	ret = accounts_parse(f, text, &f->accounts, &why);
	talloc_free(text);
	if (ret != 0) {
		return api_tcp_fail(mem_ctx, error, ret, "api_accounts",
				    s->api_accounts,
				    why == NULL ? strerror(ret) : why);
	}
	return 0;
}

static int api_tcp_metrics(struct api_tcp_files *f, const struct settings *s,
			   TALLOC_CTX *mem_ctx, char **error)
{
	const char **word = NULL;
	int ret = 0;

	f->metrics = access_create(f);
	if (f->metrics == NULL) {
		return ENOMEM;
	}
	for (word = s->metrics_from; *word != NULL; word++) {
		ret = access_add(f->metrics, *word);
		if (ret != 0) {
			return api_tcp_fail(mem_ctx, error, ret,
					    "metrics_from", *word,
					    "an address, or an address with "
					    "/prefix, is accepted");
		}
	}
	return 0;
}

int api_tcp_read(TALLOC_CTX *mem_ctx, const struct settings *s,
		 struct api_tcp_files **result, char **error)
{
	struct api_tcp_files *f = NULL;
	int ret = 0;

	*result = NULL;
	*error = NULL;
	if (s->api_listen[0] == NULL) {
		return s->web ? api_tcp_fail(mem_ctx, error, EINVAL, "web",
					     "yes", "needs api_listen") : 0;
	}
	f = talloc_zero(mem_ctx, struct api_tcp_files);
	if (f == NULL) {
		return ENOMEM;
	}
	ret = api_tcp_file(mem_ctx, "api_certificate", s->api_certificate,
			   false, &f->certificate, error);
	if (ret == 0) {
		ret = api_tcp_file(mem_ctx, "api_key", s->api_key, true,
				   &f->key, error);
	}
	ret = ret != 0 ? ret : api_tcp_accounts(f, s, mem_ctx, error);
	ret = ret != 0 ? ret : api_tcp_metrics(f, s, mem_ctx, error);
	if (ret != 0) {
		talloc_free(f);
		return ret;
	}
	talloc_steal(f, f->certificate);
	talloc_steal(f, f->key);
	*result = f;
	return 0;
}

/* --- sockets --- */

/* "ADDRESS:PORT" with the numbers of both. NULL, or why not. */
static const char *api_tcp_address(char *text, struct addrinfo **result)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_PASSIVE |
					      AI_NUMERICSERV,
				  .ai_socktype = SOCK_STREAM };
	char *port = strrchr(text, ':');
	char *end = NULL;

	if (port == NULL) {
		return "ADDRESS:PORT is accepted";
	}
	*port++ = '\0';
	if (text[0] == '[') {
		text++;
		end = strchr(text, ']');
		if (end == NULL || end[1] != '\0') {
			return "[ADDRESS]:PORT is accepted";
		}
		*end = '\0';
	}
	if (text[0] == '\0' || getaddrinfo(text, port, &hints,
					   result) != 0) {
		return "ADDRESS:PORT or [ADDRESS]:PORT is accepted, "
			"with an address of this host in numbers";
	}
	return NULL;
}

static int api_tcp_bind(const struct addrinfo *ai, int *result)
{
	int on = 1;
	int ret = 0;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC |
			SOCK_NONBLOCK, 0);

	if (fd == -1) {
		return errno;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ai->ai_family == AF_INET6) {
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on,
				 sizeof(on));
	}
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 ||
	    listen(fd, API_TCP_BACKLOG) != 0) {
		ret = errno;
		close(fd);
		return ret;
	}
	*result = fd;
	return 0;
}

static int api_tcp_listen(struct api_tcp *tcp, const char *text,
			  TALLOC_CTX *mem_ctx, char **error)
{
	struct addrinfo *ai = NULL;
	char *copy = talloc_strdup(tcp, text);
	const char *why = NULL;
	int ret = EINVAL;

	if (copy == NULL) {
		return ENOMEM;
	}
	if (tcp->count == API_TCP_LISTEN_MAX) {
		why = "at most 16 addresses are accepted";
	} else {
		why = api_tcp_address(copy, &ai);
	}
	if (why == NULL) {
		ret = api_tcp_bind(ai, &tcp->fds[tcp->count]);
		why = ret == 0 ? NULL : strerror(ret);
	}
	if (ai != NULL) {
		freeaddrinfo(ai);
	}
	talloc_free(copy);
	if (why != NULL) {
		return api_tcp_fail(mem_ctx, error, ret, "api_listen", text,
				    why);
	}
	tcp->count++;
	return 0;
}

static int api_tcp_destructor(struct api_tcp *tcp)
{
	while (tcp->count > 0) {
		close(tcp->fds[--tcp->count]);
	}
	return 0;
}

int api_tcp_open(TALLOC_CTX *mem_ctx, const struct settings *s,
		 struct api_tcp **result, char **error)
{
	struct api_tcp_files *files = NULL;
	struct api_tcp *tcp = NULL;
	const char **text = NULL;
	int ret = api_tcp_read(mem_ctx, s, &files, error);

	*result = NULL;
	if (ret != 0 || files == NULL) {
		return ret;
	}
	tcp = talloc_zero(mem_ctx, struct api_tcp);
	if (tcp == NULL) {
		return ENOMEM;
	}
	talloc_set_destructor(tcp, api_tcp_destructor);
	tcp->files = talloc_steal(tcp, files);
	for (text = s->api_listen; *text != NULL && ret == 0; text++) {
		ret = api_tcp_listen(tcp, *text, mem_ctx, error);
	}
	if (ret == 0 && s->web) {
		ret = web_read(tcp, s->web_dir, &tcp->web, error);
		if (ret != 0) {
			*error = talloc_asprintf(mem_ctx, "[settings] web_dir"
						 " = %s: %s", s->web_dir,
						 *error);
		}
	}
	if (ret != 0) {
		talloc_free(tcp);
		return ret;
	}
	*result = tcp;
	return 0;
}
