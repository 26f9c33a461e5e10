/*
 * The files of the administrator's page: see web.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/web.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/digest.h"

struct web {
	struct web_file files[WEB_FILES_MAX];
	size_t count;
	size_t bytes;
};

static const struct {
	const char *ending;
	const char *type;
} web_types[] = {
	{ ".html", "text/html; charset=utf-8" },
	{ ".css", "text/css; charset=utf-8" },
	{ ".js", "text/javascript; charset=utf-8" },
	{ ".json", "application/json" },
	{ ".svg", "image/svg+xml" },
	{ ".png", "image/png" },
	{ ".ico", "image/x-icon" },
	{ ".woff2", "font/woff2" },
	{ ".txt", "text/plain; charset=utf-8" },
	{ ".webmanifest", "application/manifest+json" },
};

/* NULL: of no known type. */
static const char *web_type(const char *path)
{
	const char *ending = strrchr(path, '.');
	size_t i = 0;

	for (i = 0; ending != NULL &&
	     i < sizeof(web_types) / sizeof(web_types[0]); i++) {
		if (strcmp(web_types[i].ending, ending) == 0) {
			return web_types[i].type;
		}
	}
	return NULL;
}

static char *web_tag(TALLOC_CTX *mem_ctx, const void *data, size_t len)
{
	uint64_t halves[2];

	digest_halves(data, len, halves);
	return talloc_asprintf(mem_ctx, "\"%016llx\"",
			       (unsigned long long)halves[0]);
}

static int web_load(struct web *w, struct web_file *f, const char *path,
		    size_t len)
{
	uint8_t *data = talloc_size(w, len + 1);
	FILE *stream = fopen(path, "re");
	int ret = 0;

	if (data == NULL || stream == NULL) {
		ret = data == NULL ? ENOMEM : errno;
	} else if (fread(data, 1, len, stream) != len) {
		ret = EIO;
	}
	if (stream != NULL) {
		fclose(stream);
	}
	f->data = data;
	f->len = len;
	f->tag = data == NULL ? NULL : web_tag(w, data, len);
	return ret == 0 && f->tag == NULL ? ENOMEM : ret;
}

/* One of the folder; path is its name below that, from "/" on. */
static int web_add(struct web *w, const FTSENT *e, const char *path)
{
	struct web_file f = { .path = talloc_strdup(w, path),
			      .type = web_type(path) };
	int ret = 0;

	if (f.path == NULL) {
		return ENOMEM;
	}
	if (f.type == NULL) {
		return EINVAL;
	}
	if (w->count == WEB_FILES_MAX ||
	    (size_t)e->fts_statp->st_size > WEB_BYTES_MAX - w->bytes) {
		return EFBIG;
	}
	ret = web_load(w, &f, e->fts_accpath, (size_t)e->fts_statp->st_size);
	w->bytes += f.len;
	w->files[w->count++] = f;
	return ret;
}

static int web_walk(struct web *w, FTS *fts, size_t prefix, char **error)
{
	FTSENT *e = NULL;
	int ret = 0;

	while (ret == 0 && (e = fts_read(fts)) != NULL) {
		if (e->fts_level > 0 && e->fts_name[0] == '.') {
			(void)fts_set(fts, e, FTS_SKIP);
			continue;
		}
		if (e->fts_info == FTS_F) {
			ret = web_add(w, e, e->fts_path + prefix);
		} else if (e->fts_info == FTS_DNR || e->fts_info == FTS_NS ||
			   e->fts_info == FTS_ERR) {
			ret = e->fts_errno;
		}
		if (ret != 0) {
			*error = talloc_asprintf(
				talloc_parent(w), "%s: %s", e->fts_path,
				ret == EINVAL ? "files of that kind are not "
				"served" : strerror(ret));
		}
	}
	return ret;
}

int web_read(TALLOC_CTX *mem_ctx, const char *dir, struct web **result,
	     char **error)
{
	struct web *w = talloc_zero(mem_ctx, struct web);
	char *copy = talloc_strdup(w, dir);
	char *paths[2] = { copy, NULL };
	FTS *fts = NULL;
	int ret = 0;

	*error = NULL;
	if (copy == NULL) {
		talloc_free(w);
		return ENOMEM;
	}
	while (strlen(copy) > 1 && copy[strlen(copy) - 1] == '/') {
		copy[strlen(copy) - 1] = '\0';
	}
	fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	if (fts == NULL) {
		talloc_free(w);
		return errno;
	}
	ret = web_walk(w, fts, strlen(copy), error);
	fts_close(fts);
	if (ret == 0 && web_find(w, "/") == NULL) {
		ret = ENOENT;
		*error = talloc_strdup(mem_ctx, "there is no index.html");
	}
	if (ret != 0) {
		talloc_free(w);
		return ret;
	}
	*result = w;
	return 0;
}

const struct web_file *web_find(const struct web *w, const char *path)
{
	size_t i = 0;

	if (strcmp(path, "/") == 0) {
		path = "/index.html";
	}
	for (i = 0; i < w->count; i++) {
		if (strcmp(w->files[i].path, path) == 0) {
			return &w->files[i];
		}
	}
	return NULL;
}
