/*
 * The configuration in force: see live.h.
 *
 * 1. A change belongs to the `live`, not to its request: the client may be
 *    gone before the disk has answered, and what is committed is taken up all
 *    the same.
 * 2. One change is under way at a time; a SIGHUP meanwhile comes after it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <sys/queue.h>

#include "cavad/engine.h"
#include "cavad/live.h"
#include "common/log.h"
#include "common/req.h"

STAILQ_HEAD(live_works, live_work);

struct live {
	struct tevent_context *ev;
	const char *path;
	char *text;		/* of cavad.conf */
	struct config *config;
	struct overlay *over;	/* committed */
	struct store *store;
	struct live_parts parts;
	struct live_works works;	/* the first one is under way */
	bool reload;		/* wanted */
};

struct live_work {
	STAILQ_ENTRY(live_work) entry;
	struct live *live;
	struct tevent_req *req;	/* NULL = freed */
	struct live_change *changes;
	size_t count;
	struct overlay *over;	/* as it will be */
};

struct live_change_state {
	struct live_work *work;	/* NULL = over */
	struct live_refusal refusal;
};

static void live_next(struct live *live);
static void live_committed(struct tevent_req *subreq);

/* --- checks --- */

static char *live_unknown_engine(TALLOC_CTX *mem_ctx, const char *uri)
{
	const struct engine_ops *ops = NULL;
	char *text = talloc_asprintf(mem_ctx, "server_uri %s: no engine of "
				     "that kind; there are", uri);
	unsigned int i;

	for (i = 0; (ops = engine_row(i)) != NULL; i++) {
		text = talloc_asprintf_append(text, " %s:", ops->scheme);
	}
	return text;
}

int live_check(TALLOC_CTX *mem_ctx, const struct config *config,
	       struct config_refusal *refusal)
{
	TALLOC_CTX *frame = talloc_new(mem_ctx);
	struct tevent_context *ev = tevent_context_init(frame);
	struct server_object **servers = config->servers;
	struct engine *engine = NULL;
	char *why = NULL;
	int ret = ev == NULL ? ENOMEM : 0;

	for (; *servers != NULL && ret == 0; servers++) {
		const struct engine_ops *ops = engine_find(
			(*servers)->server_uri);

		if (ops != NULL) {
			ret = ops->create(frame, ev, config, *servers,
					  &engine, &why);
		} else {
			ret = EINVAL;
			why = live_unknown_engine(frame,
						  (*servers)->server_uri);
		}
		if (ret == 0) {
			continue;
		}
		*refusal = (struct config_refusal) {
			.class = &object_server,
			.name = talloc_strdup(mem_ctx, (*servers)->name),
			.field = "server_uri",
			.text = talloc_asprintf(
				mem_ctx, "[server %s] %s", (*servers)->name,
				why == NULL ? strerror(ret) : why),
		};
	}
	talloc_free(frame);
	return ret;
}

/* All checks. 0, or errno and *refusal on mem_ctx. */
static int live_build(TALLOC_CTX *mem_ctx, const struct live *live,
		      const char *text, const struct overlay *over,
		      struct config **result, struct config_refusal *refusal)
{
	struct config *config = NULL;
	int ret = config_build(mem_ctx, live->path, text, over, &config,
			       refusal);

	if (ret == 0) {
		ret = live_check(mem_ctx, config, refusal);
	}
	if (ret == 0) {
		*result = config;
		return 0;
	}
	talloc_free(config);
	if (refusal->text == NULL) {
		refusal->text = talloc_strdup(mem_ctx, strerror(ret));
	}
	return ret;
}

/* --- the start --- */

/* Each object on its own: those that fit, in the order of the sections. */
static int live_what_fits(struct live *live, struct config **result)
{
	struct overlay *fits = overlay_create(live);
	const struct object_class *class = NULL;
	struct overlay *more = NULL;
	struct config *config = NULL;
	struct config_refusal refusal;
	struct overlay_object *from = NULL;
	struct overlay_object *to = NULL;
	static const struct object_class *const order[] = {
		&object_settings, &object_cee, &object_server, &object_filter,
		&object_job
	};
	size_t k, i, p;

	for (k = 0; k < 5 && fits != NULL; k++) {
		class = order[k];
		for (i = 0; i < live->over->count; i++) {
			from = live->over->list[i];
			if (strcmp(from->class, class->name) != 0) {
				continue;
			}
			more = overlay_copy(live, fits);
			to = more == NULL ? NULL :
			     overlay_make(more, from->class, from->name);
			for (p = 0; to != NULL && p < from->count; p++) {
				(void)overlay_set(to, from->pairs[p].field,
						  from->pairs[p].text);
			}
			if (to != NULL &&
			    live_build(live, live, live->text, more, &config,
				       &refusal) == 0) {
				TALLOC_FREE(*result);
				*result = config;
				talloc_free(fits);
				fits = more;
				continue;
			}
			talloc_free(more);
			log_error("%s %s is not as it was set over the API: "
				  "%s", from->class, from->name, to == NULL ?
				  strerror(ENOMEM) : refusal.text);
		}
	}
	talloc_free(fits);
	return 0;
}

static int live_lay(struct live *live)
{
	struct config_refusal refusal;
	struct config *fresh = NULL;
	char *restart = NULL;
	int ret;

	if (live->over->count == 0) {
		return 0;
	}
	ret = live_build(live, live, live->text, live->over, &fresh,
			 &refusal);
	if (ret != 0) {
		log_error("what was set over the API does not fit cavad.conf "
			  "any more: %s", refusal.text);
		ret = live_what_fits(live, &fresh);
	}
	if (ret != 0 || fresh == NULL) {
		return ret;
	}
	ret = config_take(live, live->config, fresh, &restart);
	talloc_free(restart);
	return ret;
}

int live_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		const char *path, struct config *config, struct store *store,
		struct live **result)
{
	struct live *live = talloc_zero(mem_ctx, struct live);
	int ret;

	if (live == NULL) {
		return ENOMEM;
	}
	live->ev = ev;
	live->path = path;
	live->config = config;
	live->store = store;
	STAILQ_INIT(&live->works);
	live->text = talloc_strdup(live, config->text == NULL ? "" :
				   config->text);
	ret = live->text == NULL ? ENOMEM :
		store_objects_get(store, live, &live->over);
	if (ret == 0) {
		ret = live_lay(live);
	}
	if (ret != 0) {
		talloc_free(live);
		return ret;
	}
	*result = live;
	return 0;
}

void live_attach(struct live *live, const struct live_parts *parts)
{
	live->parts = *parts;
}

/* --- taking up --- */

/*
 * Takes fresh, which has been checked. *restart (on live): as config_take()
 * says. 0, or errno and *error on live: nothing has changed.
 */
static int live_take(struct live *live, struct config *fresh, char **restart,
		     char **error)
{
	int ret = servers_update(live->parts.servers, fresh, error);

	if (ret == 0) {
		ret = config_take(live, live->config, fresh, restart);
	}
	if (ret != 0) {
		talloc_free(fresh);
		return ret;
	}
	ret = zones_changed(live->parts.zones);
	if (ret != 0) {
		log_error("the filters in state_dir: %s", strerror(ret));
	}
	event_delivery_config_changed(live->parts.delivery);
	smb_service_look(live->parts.smb_service);
	ipc_config_changed(live->parts.ipc);
	scans_config_changed(live->parts.scans);
	return 0;
}

static int live_read(struct live *live, char **restart, char **error)
{
	struct config_refusal refusal = { .text = NULL };
	struct config *fresh = NULL;
	char *text = NULL;
	int ret = config_read(live, live->path, &text, error);

	if (ret != 0) {
		return ret;
	}
	ret = live_build(live, live, text, live->over, &fresh, &refusal);
	if (ret != 0) {
		*error = refusal.class == NULL ? refusal.text :
			 talloc_asprintf(live, "%s: %s", live->path,
					 refusal.text);
	}
	ret = ret != 0 ? ret : live_take(live, fresh, restart, error);
	if (ret != 0) {
		talloc_free(text);
		return ret;
	}
	talloc_free(live->text);
	live->text = text;
	return 0;
}

static void live_reload_now(struct live *live)
{
	char *restart = NULL;
	char *error = NULL;
	int ret = live_read(live, &restart, &error);

	live->reload = false;
	if (ret != 0) {
		log_error("%s; nothing was changed%s",
			  error == NULL ? strerror(ret) : error,
			  ret == EACCES ? " (the file must be readable by "
			  "the account that cavad runs as)" : "");
		talloc_free(error);
		return;
	}
	live->parts.reloaded(live->parts.private_data);
	log_notice("%s was read again%s%s", live->path,
		   restart[0] == '\0' ? "" : "; these take effect at the "
		   "next start: ", restart);
	talloc_free(restart);
}

void live_reload(struct live *live)
{
	live->reload = true;
	if (STAILQ_EMPTY(&live->works)) {
		live_reload_now(live);
	}
}

/* --- changes --- */

struct config *live_try(TALLOC_CTX *mem_ctx, struct live *live,
			const struct live_change *changes, size_t count,
			struct live_refusal *refusal)
{
	struct overlay *over = live_overlay(mem_ctx, live->config, live->over,
					    changes, count, refusal);
	struct config_refusal why = { .text = NULL };
	struct config *config = NULL;
	int ret;

	if (over == NULL) {
		return NULL;
	}
	ret = live_build(mem_ctx, live, live->text, over, &config, &why);
	if (ret != 0) {
		*refusal = (struct live_refusal) {
			.error = ret, .field = why.field, .text = why.text,
		};
	}
	talloc_free(over);
	return config;
}

static void live_work_end(struct live_work *work, int error,
			  const char *field, const char *text)
{
	struct live *live = work->live;
	struct tevent_req *req = work->req;
	struct live_change_state *state = NULL;

	STAILQ_REMOVE_HEAD(&live->works, entry);
	if (req != NULL) {
		state = tevent_req_data(req, struct live_change_state);
		state->work = NULL;
		state->refusal = (struct live_refusal) {
			.error = error,
			.field = field == NULL ? NULL :
				 talloc_strdup(state, field),
			.text = talloc_strdup(state, text == NULL ?
					      strerror(error) : text),
		};
	}
	talloc_free(work);
	if (live->reload) {
		live_reload_now(live);
	}
	live_next(live);
	if (req == NULL) {
		return;
	}
	if (error != 0) {
		tevent_req_error(req, error);
	} else {
		tevent_req_done(req);
	}
}

/* Checks the first one, and writes it. */
static void live_next(struct live *live)
{
	struct live_work *work = STAILQ_FIRST(&live->works);
	struct live_refusal refusal = { .error = 0 };
	struct config *config = NULL;
	struct tevent_req *subreq = NULL;

	if (work == NULL) {
		return;
	}
	config = live_try(work, live, work->changes, work->count, &refusal);
	if (config != NULL) {
		work->over = live_overlay(work, live->config, live->over,
					  work->changes, work->count,
					  &refusal);
	}
	talloc_free(config);
	if (work->over == NULL) {
		live_work_end(work, refusal.error, refusal.field,
			      refusal.text);
		return;
	}
	subreq = store_objects_send(work, live->ev, live->store, live->over,
				    work->over);
	if (subreq == NULL) {
		live_work_end(work, ENOMEM, NULL, NULL);
		return;
	}
	tevent_req_set_callback(subreq, live_committed, work);
}

static void live_committed(struct tevent_req *subreq)
{
	struct live_work *work = tevent_req_callback_data(subreq,
							  struct live_work);
	struct live *live = work->live;
	struct config_refusal refusal = { .text = NULL };
	struct config *fresh = NULL;
	char *restart = NULL;
	char *error = NULL;
	int ret = store_write_recv(subreq);

	TALLOC_FREE(subreq);
	if (ret != 0) {
		error = talloc_asprintf(work, "the database: %s",
					strerror(ret));
		live_work_end(work, ret == ENOSPC ? ENOSPC : EIO, NULL, error);
		return;
	}
	talloc_free(live->over);
	live->over = talloc_steal(live, work->over);
	ret = live_build(live, live, live->text, live->over, &fresh,
			 &refusal);
	ret = ret != 0 ? ret : live_take(live, fresh, &restart, &error);
	if (ret != 0) {
		error = talloc_asprintf(work, "it is in the database, and "
					"takes effect at the next start: %s",
					error != NULL ? error :
					strerror(ret));
		log_error("%s", error);
		live_work_end(work, EIO, NULL, error);
		return;
	}
	talloc_free(restart);
	live_work_end(work, 0, NULL, NULL);
}

/* --- requests --- */

static int live_copy_change(struct live_work *work,
			    const struct live_change *from,
			    struct live_change *to)
{
	struct overlay_pair *pairs = talloc_zero_array(
		work, struct overlay_pair, from->count + 1);
	size_t i;

	*to = *from;
	to->name = talloc_strdup(work, from->name);
	to->pairs = pairs;
	if (from->new_name != NULL) {
		to->new_name = talloc_strdup(work, from->new_name);
	}
	if (to->name == NULL || pairs == NULL ||
	    (from->new_name != NULL && to->new_name == NULL)) {
		return ENOMEM;
	}
	for (i = 0; i < from->count; i++) {
		pairs[i].field = talloc_strdup(pairs, from->pairs[i].field);
		pairs[i].text = from->pairs[i].text == NULL ? NULL :
			talloc_strdup(pairs, from->pairs[i].text);
		if (pairs[i].field == NULL ||
		    (pairs[i].text == NULL) != (from->pairs[i].text == NULL)) {
			return ENOMEM;
		}
	}
	return 0;
}

static void live_change_cleanup(struct tevent_req *req,
				enum tevent_req_state req_state)
{
	struct live_change_state *state = tevent_req_data(
		req, struct live_change_state);

	(void)req_state;
	if (state->work != NULL) {
		state->work->req = NULL;
		state->work = NULL;
	}
}

struct tevent_req *live_change_send(TALLOC_CTX *mem_ctx, struct live *live,
				    const struct live_change *changes,
				    size_t count)
{
	struct live_change_state *state = NULL;
	struct live_work *work = NULL;
	struct tevent_req *req = NULL;
	bool first = STAILQ_EMPTY(&live->works);
	size_t i;
	int ret = 0;

	req = tevent_req_create(mem_ctx, &state, struct live_change_state);
	if (req == NULL) {
		return NULL;
	}
	work = talloc_zero(live, struct live_work);
	if (tevent_req_nomem(work, req)) {
		return tevent_req_post(req, live->ev);
	}
	work->live = live;
	work->count = count;
	work->changes = talloc_zero_array(work, struct live_change, count + 1);
	ret = work->changes == NULL ? ENOMEM : 0;
	for (i = 0; i < count && ret == 0; i++) {
		ret = live_copy_change(work, &changes[i], &work->changes[i]);
	}
	if (ret != 0) {
		talloc_free(work);
		tevent_req_error(req, ret);
		return tevent_req_post(req, live->ev);
	}
	work->req = req;
	state->work = work;
	tevent_req_set_cleanup_fn(req, live_change_cleanup);
	tevent_req_defer_callback(req, live->ev);
	STAILQ_INSERT_TAIL(&live->works, work, entry);
	if (first) {
		live_next(live);
	}
	return req;
}

int live_change_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		     struct live_refusal *refusal)
{
	struct live_change_state *state = tevent_req_data(
		req, struct live_change_state);
	int ret = req_error(req);

	*refusal = state->refusal;
	refusal->error = ret;
	if (refusal->field != NULL) {
		refusal->field = talloc_strdup(mem_ctx, refusal->field);
	}
	refusal->text = talloc_strdup(mem_ctx, refusal->text != NULL ?
				      refusal->text : strerror(ret));
	tevent_req_received(req);
	return ret;
}
