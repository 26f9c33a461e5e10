/*
 * A walk over a tree, a batch at a time: see files_walk.h.
 *
 * 1. Order. Within a directory by name, as bytes; a directory's content
 *    where its name stands. So the cursor is a path, and means the same
 *    tomorrow, on another file system, after a directory was rebuilt: all
 *    before it has been seen, nothing behind it has. Files that are made
 *    before the cursor while the walk is under way are not its business:
 *    their writers said so (notices).
 * 2. Memory. Of a directory there is a window of the names behind the cursor
 *    (files_names.h); at the end of it it is read again. Of the directories
 *    above, those that are WINDOWS_MAX up lose their names, and are read
 *    again when the walk is back. So memory has a bound whatever the tree is
 *    like; a directory of a million files is read some thirty times.
 * 3. Nothing is left by a link: each step is one name, O_NOFOLLOW, from the
 *    descriptor of its directory, and the first one is openat2() below
 *    check_root. A directory that is another mount is left out unless
 *    other_mounts; one that is the same directory as one above it always is.
 *    The cursor's directory may have gone meanwhile: then what remains of it
 *    is behind the cursor, and nothing more is to be seen of the rest.
 * 4. What has no streams, and no record or one that says clean and current,
 *    is dealt with by name (files_look.h): two or three system calls a file.
 *    Names are looked at ahead, as many as this batch will come to, and what
 *    was seen of them is not good for another one: between batches there may
 *    be hours, between the look and the name there is WALK_TIME at most.
 *    Everything else is opened, with O_PATH alone: no device wakes, no lease
 *    breaks.
 * 5. What has named streams (common/stream.h) is handed over whatever its
 *    record says: of those the database has the verdicts. Which ones they are
 *    is asked by who scans them (scan_streams.h).
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cavad/files_look.h"
#include "cavad/files_packet.h"
#include "cavad/files_walk.h"
#include "common/stream.h"

#define WALK_DEPTH 2048		/* of a path of FILES_PATH_MAX */
#define WALK_TIME 1000		/* ms a batch may take */
#define WALK_ENTRIES 50000	/* that a batch looks at */
#ifndef WINDOWS_MAX		/* the test has smaller ones */
#define WALK_CANDIDATES 512	/* of a batch */
#define WINDOWS_MAX 8
#endif

struct walk_level {
	int fd;			/* O_PATH */
	uint64_t dev, ino, mount;
	size_t path_len;	/* of the directory, in walk->path */
	char after[NAME_MAX + 1];	/* all up to this name is done */
	struct names names;
};

struct walk {
	const struct files_root *root;
	const struct files_walk *ask;	/* of this batch */
	struct buf *out;
	struct files_walked walked;
	char start[FILES_PATH_MAX];	/* what was asked for last time */
	char top[FILES_PATH_MAX];	/* the same as paths have it */
	char cursor[FILES_PATH_MAX];
	bool other_mounts;
	char path[FILES_PATH_MAX];
	unsigned int depth;
	unsigned int entries;
	uint32_t batch;		/* number of this one, never 0 */
	int64_t end;		/* of its time; look_clock() */
	struct looker *looker;
	int here;		/* fd of the working directory; -1 = another */
	struct walk_level levels[WALK_DEPTH];
};

/* --- directories --- */

static void level_pop(struct walk *w)
{
	struct walk_level *l = &w->levels[--w->depth];

	names_drop(&l->names);
	if (w->here == l->fd) {
		w->here = -1;
	}
	close(l->fd);
	if (w->depth > 0) {
		w->path[w->levels[w->depth - 1].path_len] = '\0';
	}
}

static void walk_clear(struct walk *w)
{
	int ret = 0;

	while (w->depth > 0) {
		level_pop(w);
	}
	/* the working directory keeps no file system busy that has been left */
	ret = fchdir(w->root->fd);
	(void)ret;
	w->here = -1;
	w->start[0] = '\0';
}

static void count_error(struct walk *w, int error)
{
	if (error == ENOENT || error == ENOTDIR || error == ELOOP) {
		w->walked.counts.gone++;
	} else {
		w->walked.counts.failed++;
	}
}

/* May it be entered? dev, ino and mount are set. */
static bool level_wanted(struct walk *w, struct walk_level *l)
{
	struct statx stx = { 0 };
	unsigned int i = 0;

	if (statx(l->fd, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID,
		  &stx) == -1) {
		count_error(w, errno);
		return false;
	}
	l->dev = look_dev(stx.stx_dev_major, stx.stx_dev_minor);
	l->ino = stx.stx_ino;
	l->mount = (stx.stx_mask & STATX_MNT_ID) != 0 ? stx.stx_mnt_id :
		l->dev;
	if (w->depth > 0 && !w->other_mounts &&
	    l->mount != w->levels[0].mount) {
		w->walked.counts.mounts++;
		return false;
	}
	for (i = 0; i < w->depth; i++) {
		if (w->levels[i].dev == l->dev && w->levels[i].ino == l->ino) {
			w->walked.counts.loops++;
			return false;
		}
	}
	return true;
}

static bool level_push(struct walk *w, int fd)
{
	struct walk_level *l = &w->levels[w->depth];

	*l = (struct walk_level) { .fd = fd, .path_len = strlen(w->path) };
	if (!level_wanted(w, l)) {
		close(fd);
		return false;
	}
	w->depth++;
	if (w->depth > WINDOWS_MAX) {
		names_drop(&w->levels[w->depth - 1 -
				      WINDOWS_MAX].names);
	}
	return true;
}

/* Puts name behind the path of the directory at hand. False: too long. */
static bool path_add(struct walk *w, const char *name)
{
	size_t at = w->levels[w->depth - 1].path_len;
	size_t len = strlen(name);

	if (at + 1 + len >= sizeof(w->path) || w->depth == WALK_DEPTH) {
		w->walked.counts.failed++;
		return false;
	}
	w->path[at] = '/';
	memcpy(w->path + at + 1, name, len + 1);
	return true;
}

static struct filter_facts facts_of(const struct walk *w)
{
	return (struct filter_facts) { .path = w->path, .root = w->top };
}

/* w->path is the directory's already. */
static bool enter(struct walk *w, const char *name)
{
	struct filter_facts facts = facts_of(w);
	int fd = -1;

	if (filter_prunes(&w->ask->rules, &facts)) {
		w->walked.counts.excluded++;
		return false;
	}
	/* any name in it must fit into the cursor */
	if (strlen(w->path) + 1 + NAME_MAX >= sizeof(w->cursor)) {
		w->walked.counts.failed++;
		return false;
	}
	fd = openat(w->levels[w->depth - 1].fd, name, O_PATH | O_DIRECTORY |
		    O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1) {
		count_error(w, errno);
		return false;
	}
	return level_push(w, fd);
}

/* --- files --- */

/* By its name. */
static bool is_excluded(struct walk *w)
{
	struct filter_facts facts = facts_of(w);

	return filter_has_rules(&w->ask->rules) &&
		filter_rules(&w->ask->rules, &facts) != VERDICT_REASON_NONE;
}

static void candidate_add(struct walk *w, struct files_candidate *candidate)
{
	candidate->path = w->path;
	files_msg_put_candidate(w->out, candidate);
	w->walked.count++;
}

/* Rule 5; of w->path, which is fd. */
static void candidate_put(struct walk *w, int fd,
			  struct files_candidate *candidate)
{
	static char names[STREAM_LIST_MAX];
	size_t len = 0;
	int ret = stream_list(fd, names, &len);

	if (ret != 0) {
		count_error(w, ret);
	}
	candidate->streams = len > 0;
	if (candidate->content || candidate->streams) {
		candidate_add(w, candidate);
	}
}

/* The directory that was entered: not where the walk is resumed. */
static void directory_seen(struct walk *w)
{
	struct files_candidate candidate = { .content = false };

	w->walked.counts.directories++;
	if (!is_excluded(w)) {
		candidate_put(w, w->levels[w->depth - 1].fd, &candidate);
	}
}

/* Counts it, and says whether its content is to be scanned. */
static bool file_wanted(struct walk *w, int fd, const struct content *now)
{
	struct walk_counts *c = &w->walked.counts;
	struct verdict v;
	enum verdict_state state = VERDICT_STATE_NONE;
	int ret = 0;

	c->bytes += now->size;
	if (w->ask->ignore_previous) {
		return true;
	}
	ret = verdict_read_path(fd, &v);
	state = verdict_state(ret == 0 ? &v : NULL, now,
			      w->ask->signature_min);
	switch (state) {
	case VERDICT_STATE_INFECTED:
		return true;	/* unless the allow-list has it: who knows */
	case VERDICT_STATE_QUARANTINED:
		c->infected++;
		c->current++;
		return false;
	case VERDICT_STATE_CLEAN:
	case VERDICT_STATE_UNSCANNABLE:
		c->current++;
		return false;
	default:
		return true;
	}
}

static void look_at_file(struct walk *w, int fd, const struct statx *stx)
{
	struct files_candidate candidate = { .size = stx->stx_size };
	struct content now = { 0 };

	content_of_statx(stx, &now);
	w->walked.counts.files++;
	if (is_excluded(w)) {
		w->walked.counts.excluded++;
		return;
	}
	candidate.content = file_wanted(w, fd, &now);
	candidate_put(w, fd, &candidate);
}

/* Names are short from here on. */
static bool walk_here(struct walk *w, const struct walk_level *l)
{
	if (w->here != l->fd) {
		w->here = fchdir(l->fd) == 0 ? l->fd : -1;
	}
	return w->here == l->fd;
}

/*
 * Looks at the next names, `name` the first of them. No more than this batch
 * will come to: each is one more candidate at most.
 */
static void look_ahead(struct walk *w, const struct walk_level *l,
		       struct name *name)
{
	struct look look = {
		.names = name,
		.count = l->names.list + l->names.count - name,
		.dev = l->dev,
		.ignore_previous = w->ask->ignore_previous,
		.signature_min = w->ask->signature_min,
		.end = w->end,
		.batch = w->batch,
	};
	size_t room = WALK_CANDIDATES - w->walked.count;

	if (look.count > room) {
		look.count = room;
	}
	looker_look(w->looker, &look);
}

/* Rule 4: counted, and a candidate if it is new. False: nothing is known. */
static bool look_by_name(struct walk *w, const struct walk_level *l,
			 struct name *name)
{
	struct files_candidate candidate = { .content = true };
	struct walk_counts *c = &w->walked.counts;

	if (name->type != DT_REG) {
		return false;
	}
	if (name->batch != w->batch && walk_here(w, l)) {
		look_ahead(w, l, name);
	}
	if (name->batch != w->batch || name->looks == LOOK_OPEN ||
	    is_excluded(w)) {
		return false;
	}
	c->files++;
	c->bytes += name->size;
	if (name->looks == LOOK_CURRENT) {
		c->current++;
		return true;
	}
	candidate.size = name->size;
	candidate_add(w, &candidate);
	return true;
}

/* By a descriptor of its own. True: a directory. */
static bool look_open(struct walk *w, const struct walk_level *l,
		      const char *name)
{
	struct statx stx = { 0 };
	int fd = openat(l->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd == -1 || statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS,
			      &stx) == -1) {
		count_error(w, errno);
	} else if (S_ISREG(stx.stx_mode)) {
		look_at_file(w, fd, &stx);
	} else if (!S_ISDIR(stx.stx_mode)) {
		w->walked.counts.others++;
	}
	if (fd != -1) {
		close(fd);
	}
	return S_ISDIR(stx.stx_mode);
}

/* An entry of any kind. True: a directory, to be entered. */
static bool look_at(struct walk *w, struct name *name)
{
	const struct walk_level *l = &w->levels[w->depth - 1];

	if (name->type == DT_DIR) {
		return true;
	}
	if (name->type != DT_REG && name->type != DT_UNKNOWN) {
		w->walked.counts.others++;
		return false;
	}
	return !look_by_name(w, l, name) && look_open(w, l, name->text);
}

/* --- the walk --- */

/* One entry more. False: that was the last. */
static bool step(struct walk *w)
{
	struct walk_level *l = &w->levels[w->depth - 1];
	struct names *n = &l->names;
	struct name *name = NULL;
	int ret = 0;

	if (n->list == NULL || (n->next == n->count && !n->whole)) {
		ret = names_read(n, l->fd, l->after);
		if (ret != 0) {
			count_error(w, ret);
			n->whole = true;	/* with what there was */
		}
	}
	if (n->next == n->count) {
		level_pop(w);
		return w->depth > 0;
	}
	name = &n->list[n->next++];
	w->entries++;
	memcpy(l->after, name->text, strlen(name->text) + 1);
	if (!path_add(w, name->text)) {
		return true;
	}
	if (look_at(w, name) && enter(w, l->after)) {
		directory_seen(w);
		return true;
	}
	w->path[l->path_len] = '\0';
	return true;
}

/* Rule 1: the names that are done, one a directory; the last may be "". */
static void cursor_put(struct walk *w)
{
	size_t len = 0;
	unsigned int i = 0;

	w->cursor[0] = '\0';
	for (i = 0; i < w->depth; i++) {
		len += snprintf(w->cursor + len, sizeof(w->cursor) - len,
				"%s%s", i == 0 ? "" : "/",
				w->levels[i].after);
	}
}

/* Back to where the cursor is, as far as that is still there. */
static void cursor_take(struct walk *w, const char *cursor)
{
	const struct walk_counts counts = w->walked.counts;
	struct walk_level *l = NULL;
	size_t len = 0;
	bool more = true;

	while (more) {
		l = &w->levels[w->depth - 1];
		len = strcspn(cursor, "/");
		if (len > NAME_MAX) {
			break;
		}
		memcpy(l->after, cursor, len);
		l->after[len] = '\0';
		more = cursor[len] == '/' && path_add(w, l->after) &&
			enter(w, l->after);
		cursor += len + 1;
	}
	l = &w->levels[w->depth - 1];
	w->path[l->path_len] = '\0';
	w->walked.counts = counts;	/* all of these were counted before */
}

/* 0 or errno. */
static int walk_start(struct walk *w, const struct files_walk *ask)
{
	int fd = -1;
	int ret = 0;

	if (w->depth > 0 && strcmp(w->start, ask->path) == 0 &&
	    strcmp(w->cursor, ask->cursor) == 0 &&
	    w->other_mounts == ask->other_mounts) {
		return 0;	/* where the last batch ended */
	}
	walk_clear(w);
	ret = files_open_directory(w->root, ask->path, w->path, &fd);
	if (ret != 0) {
		return ret;
	}
	snprintf(w->start, sizeof(w->start), "%s", ask->path);
	snprintf(w->top, sizeof(w->top), "%s", w->path);
	w->other_mounts = ask->other_mounts;
	if (!level_push(w, fd)) {
		return EIO;
	}
	if (ask->cursor[0] != '\0') {
		cursor_take(w, ask->cursor);
	} else {
		directory_seen(w);
	}
	return 0;
}

/* What was looked at for a batch before is not good any more. */
static void batch_begin(struct walk *w)
{
	w->batch = w->batch == UINT32_MAX ? 1 : w->batch + 1;
	w->end = look_clock() + WALK_TIME;
	w->entries = 0;
	w->walked = (struct files_walked) { .error = 0 };
}

void walk_batch(struct walk *w, const struct files_walk *ask,
		struct buf *out)
{
	static uint8_t room[FILES_MSG_MAX - 3 * FILES_PATH_MAX];
	struct buf candidates = buf_writer(room, sizeof(room));
	bool more = true;

	w->ask = ask;
	/* cppcheck-suppress autoVariables; for the time of this call */
	w->out = &candidates;
	batch_begin(w);
	w->walked.error = walk_start(w, ask);
	while (w->walked.error == 0 && more && w->entries < WALK_ENTRIES &&
	       w->walked.count < WALK_CANDIDATES && look_clock() < w->end &&
	       candidates.pos + 2 * FILES_PATH_MAX < sizeof(room)) {
		more = step(w);
	}
	cursor_put(w);
	w->walked.done = w->walked.error == 0 && !more;
	w->walked.cursor = w->cursor;
	if (w->walked.done || w->walked.error != 0) {
		walk_clear(w);
	}
	files_msg_put_walked(out, &w->walked);
	buf_put_bytes(out, room, candidates.pos);
	w->ask = NULL;
	w->out = NULL;
}

struct walk *walk_create(const struct files_root *root)
{
	struct walk *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		return NULL;
	}
	w->looker = looker_create();
	if (w->looker == NULL) {
		free(w);
		return NULL;
	}
	w->root = root;
	w->here = -1;
	return w;
}

void walk_end(struct walk *w)
{
	if (w == NULL) {
		return;
	}
	looker_end(w->looker);
	walk_clear(w);
	free(w);
}

static int walker_serve(struct walk *w, int sock)
{
	static struct files_in in;
	static uint8_t out[FILES_MSG_MAX];
	struct files_walk ask;
	struct buf b;
	uint32_t number = 0;
	uint32_t id = 0;
	int fd = -1;
	int ret = files_msg_recv(sock, &in, &b, &fd, 0);

	if (ret != 0) {
		return ret;
	}
	if (fd != -1) {
		close(fd);
		return EBADMSG;
	}
	number = buf_get_u32(&b);
	id = buf_get_u32(&b);
	files_msg_get_walk(&b, &ask);
	if (number != FILES_MSG_WALK || buf_finish(&b) != 0) {
		return EBADMSG;
	}
	b = files_msg_start(out, FILES_MSG_WALK, id);
	walk_batch(w, &ask, &b);
	return files_msg_send(sock, &b, -1, 0);
}

int files_walker_run(int sock, const struct files_root *root)
{
	struct walk *w = walk_create(root);
	int ret = w == NULL ? ENOMEM : 0;

	while (ret == 0) {
		ret = walker_serve(w, sock);
	}
	walk_end(w);
	return ret == EPIPE || ret == ECONNRESET ? 0 : 1;
}
