/*
 * What a gate looks at: the content there is, and the record on the file.
 *
 * An open is looked at twice in one create_file call: when it begins, for
 * cavad to hear of it (ahead.c), and before the file is opened. Between them
 * is smbd's own part of the open, a fraction of a millisecond, so the second
 * look takes what the first has seen. What is read later is compared with it,
 * as it is with any look.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/gate.h"
#include "vfs_cava/stream.h"

int gate_see(const struct gate *g, struct cava_seen *seen)
{
	int ret = 0;

	ret = cava_store_look(g->cava, g->fd, seen);
	if (ret != 0) {
		return ret;
	}
	seen->fd = g->fd;
	seen->error = g->pathref ?
		verdict_read_path(g->fd, &seen->record) :
		verdict_read(g->fd, &seen->record);
	return 0;
}

void gate_saw(struct gate *g, const struct cava_seen *seen)
{
	const struct verdict *v = &seen->record;
	bool have = seen->error == 0;

	g->content = seen->content;
	g->stub = seen->stub;
	g->database = seen->database;
	g->state = verdict_state(have ? v : NULL, &g->content,
				 g->cava->filter.signature_min);
	g->mark = have ? v->reason : VERDICT_REASON_NONE;
}

/* Good for one look: the next one is at what has become of it since. */
static bool gate_take(const struct gate *g, struct cava_seen *seen)
{
	struct cava_create *create = g->cava->create;

	if (!g->pathref || create == NULL || create->seen.fd != g->fd) {
		return false;
	}
	*seen = create->seen;
	create->seen.fd = -1;
	return true;
}

int gate_facts(struct gate *g, struct cava_seen *seen)
{
	int ret = 0;

	if (g->stream != NULL) {
		bool clean = cava_stream_is_clean(g->cava, g->stream);

		g->content = g->stream->content;
		g->state = clean ? VERDICT_STATE_CLEAN : VERDICT_STATE_NONE;
		return 0;
	}
	if (!gate_take(g, seen)) {
		ret = gate_see(g, seen);
	}
	if (ret == 0) {
		gate_saw(g, seen);
	}
	return ret;
}
