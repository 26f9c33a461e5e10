/*
 * Streams in extended attributes: see stream.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/verdict.h"

#define STREAM_PREFIX "user.DosStream."
#define STREAM_TYPE ":$DATA"
#define STREAM_FINDER STREAM_PREFIX "AFP_AfpInfo"
#define STREAM_ALIAS "cava-"
#define STREAM_TAIL 1		/* bytes of a value that are no content */
#define STREAM_FINDER_SIZE (60 + STREAM_TAIL)

static size_t stream_size(size_t len)
{
	return len < STREAM_TAIL ? 0 : len - STREAM_TAIL;
}

void stream_content(const uint8_t *value, size_t len, struct content *c)
{
	uint64_t halves[2];

	digest_halves(value, len, halves);
	c->size = stream_size(len);
	c->mtime = (int64_t)halves[0];
	c->ctime = (int64_t)halves[1];
}

void stream_result_key(const struct content *c, struct ident *key)
{
	memset(key, 0, sizeof(*key));
	snprintf(key->stream, sizeof(key->stream), "%016llx%016llx",
		 (unsigned long long)c->mtime, (unsigned long long)c->ctime);
}

/* Letters, digits, and in the middle what every system takes in a name. */
static bool stream_is_plain(const char *name, size_t len)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789_-.";

	return len > 0 && strspn(name, plain) >= len &&
		name[0] != '.' && name[len - 1] != '.' &&
		strncasecmp(name, STREAM_ALIAS, strlen(STREAM_ALIAS)) != 0;
}

void stream_token(const char *attribute, char token[STREAM_TOKEN_MAX])
{
	const char *name = NULL;
	size_t len = strlen(attribute);
	uint64_t halves[2];

	if (len < STREAM_NAME_MAX &&
	    strncmp(attribute, STREAM_PREFIX, strlen(STREAM_PREFIX)) == 0 &&
	    len >= strlen(STREAM_PREFIX) + strlen(STREAM_TYPE) &&
	    strcmp(attribute + len - strlen(STREAM_TYPE), STREAM_TYPE) == 0) {
		name = attribute + strlen(STREAM_PREFIX);
		len -= strlen(STREAM_PREFIX) + strlen(STREAM_TYPE);
		if (stream_is_plain(name, len)) {
			memcpy(token, name, len);
			token[len] = '\0';
			return;
		}
	}
	digest_halves(attribute, strlen(attribute), halves);
	snprintf(token, STREAM_TOKEN_MAX, STREAM_ALIAS "%016llx%016llx",
		 (unsigned long long)halves[0],
		 (unsigned long long)halves[1]);
}

bool stream_is_finder_info(const uint8_t *value, size_t len)
{
	static const uint8_t head[] = { 'A', 'F', 'P', 0, 0, 0, 1, 0 };

	return len == STREAM_FINDER_SIZE &&
		memcmp(value, head, sizeof(head)) == 0;
}

/* An O_PATH descriptor has no attributes, its name in /proc does. */
static void stream_path(int fd, char path[32])
{
	snprintf(path, 32, "/proc/self/fd/%d", fd);
}

int stream_read(int fd, const char *attribute,
		uint8_t value[STREAM_VALUE_MAX], size_t *len)
{
	char path[32];
	ssize_t got = -1;

	stream_path(fd, path);
	got = getxattr(path, attribute, value, STREAM_VALUE_MAX);
	if (got == -1) {
		return errno;
	}
	*len = (size_t)got;
	return 0;
}

/* Its name is that of fruit's, and so is what it holds. */
static bool stream_is_metadata(int fd, const char *attribute)
{
	uint8_t value[STREAM_FINDER_SIZE + 1];
	char path[32];
	ssize_t len = 0;

	if (strncmp(attribute, STREAM_FINDER, strlen(STREAM_FINDER)) != 0) {
		return false;
	}
	stream_path(fd, path);
	len = getxattr(path, attribute, value, sizeof(value));
	return len > 0 && stream_is_finder_info(value, (size_t)len);
}

bool stream_perhaps(const char *file, bool *record)
{
	char names[1024];
	ssize_t size = llistxattr(file, names, sizeof(names));
	ssize_t at = 0;
	bool streams = size == -1;

	*record = size == -1;
	for (at = 0; at < size; at += strlen(names + at) + 1) {
		const char *name = names + at;

		*record = *record || strcmp(name, VERDICT_XATTR) == 0;
		streams = streams || strncmp(name, STREAM_PREFIX,
					     strlen(STREAM_PREFIX)) == 0;
	}
	return streams;
}

int stream_list(int fd, char names[STREAM_LIST_MAX], size_t *len)
{
	char path[32];
	ssize_t size = 0;
	size_t at = 0;
	size_t n = 0;

	*len = 0;
	stream_path(fd, path);
	size = listxattr(path, names, STREAM_LIST_MAX);
	if (size == -1) {
		return errno == ENOTSUP ? 0 : errno;
	}
	for (at = 0; at < (size_t)size; at += n) {
		char *name = names + at;

		n = strlen(name) + 1;
		if (strncmp(name, STREAM_PREFIX, strlen(STREAM_PREFIX)) == 0 &&
		    !stream_is_metadata(fd, name)) {
			memmove(names + *len, name, n);
			*len += n;
		}
	}
	return 0;
}

static bool stream_matches(int fd, const char *attribute, const char *token,
			   const struct content *c, uint8_t *value)
{
	char own[STREAM_TOKEN_MAX];
	struct content now;
	size_t len = 0;
	int ret = 0;

	if (strncmp(attribute, "user.", 5) != 0 ||
	    strlen(attribute) >= STREAM_NAME_MAX) {
		return false;
	}
	if (token != NULL) {
		stream_token(attribute, own);
		return strcmp(own, token) == 0;
	}
	ret = stream_read(fd, attribute, value, &len);
	if (ret != 0) {
		return false;
	}
	stream_content(value, len, &now);
	return content_equal(&now, c);
}

int stream_find(int fd, const char *token, const struct content *c,
		char attribute[STREAM_NAME_MAX])
{
	char *list = malloc(STREAM_LIST_MAX);
	uint8_t *value = malloc(STREAM_VALUE_MAX);
	const char *name = NULL;
	char path[32];
	ssize_t size = 0;
	int ret = ENODATA;

	if (list == NULL || value == NULL) {
		free(list);
		free(value);
		return ENOMEM;
	}
	stream_path(fd, path);
	size = listxattr(path, list, STREAM_LIST_MAX);
	if (size == -1) {
		ret = errno;
	}
	for (name = list; size > 0 && name < list + size;
	     name += strlen(name) + 1) {
		bool found = stream_matches(fd, name, token, c, value);

		if (found) {
			memcpy(attribute, name, strlen(name) + 1);
			ret = 0;
			break;
		}
	}
	free(list);
	free(value);
	return ret;
}

static int stream_fill(int fd, const uint8_t *value, size_t size)
{
	size_t done = 0;
	off_t start = 0;

	while (done < size) {
		ssize_t n = write(fd, value + done, size - done);

		if (n == -1) {
			return errno;
		}
		done += (size_t)n;
	}
	start = lseek(fd, 0, SEEK_SET);
	if (start == -1) {
		return errno;
	}
	return fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK |
		     F_SEAL_GROW | F_SEAL_WRITE) == -1 ? errno : 0;
}

int stream_memory(const uint8_t *value, size_t len, int *result)
{
	int fd = memfd_create("stream", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int ret = 0;

	if (fd == -1) {
		return errno;
	}
	ret = stream_fill(fd, value, stream_size(len));
	if (ret != 0) {
		close(fd);
		return ret;
	}
	*result = fd;
	return 0;
}
