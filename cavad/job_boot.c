/*
 * Did the host stop without cavad being stopped first? See job_boot.h.
 *
 * In the database as text: "boot" -> the id of the boot, or "stopped".
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "cavad/job_boot.h"
#include "common/log.h"

#define STOPPED "stopped"

struct job_boot {
	struct tevent_context *ev;
	struct store *store;
	bool unclean;
};

static void noted(struct tevent_req *subreq);

bool job_boot_is_unclean(const char *noted_id, const char *now)
{
	return noted_id != NULL && now[0] != '\0' &&
		strcmp(noted_id, STOPPED) != 0 && strcmp(noted_id, now) != 0;
}

static void note(struct job_boot *b, const char *text)
{
	struct tevent_req *req = store_meta_put_send(b, b->ev, b->store,
						     "boot", text);

	if (req != NULL) {
		tevent_req_set_callback(req, noted, NULL);
	}
}

static void noted(struct tevent_req *subreq)
{
	int ret = store_write_recv(subreq);

	talloc_free(subreq);
	if (ret != 0) {
		log_warning("the boot cannot be noted: %s; after a power "
			    "failure there will be no recovery run",
			    strerror(ret));
	}
}

static void read_id(char id[64])
{
	FILE *f = fopen(JOB_BOOT_ID, "re");

	id[0] = '\0';
	if (f == NULL) {
		return;
	}
	if (fgets(id, 64, f) != NULL) {
		id[strcspn(id, "\n")] = '\0';
	}
	fclose(f);
}

struct job_boot *job_boot_create(TALLOC_CTX *mem_ctx,
				 struct tevent_context *ev,
				 struct store *store)
{
	struct job_boot *b = talloc_zero(mem_ctx, struct job_boot);
	char *before = NULL;
	char id[64] = "";

	if (b == NULL) {
		return NULL;
	}
	b->ev = ev;
	b->store = store;
	read_id(id);
	(void)store_meta_get(store, b, "boot", &before);
	b->unclean = job_boot_is_unclean(before, id);
	talloc_free(before);
	if (b->unclean) {
		log_warning("the host stopped without cavad being stopped: "
			    "all below check_root that has no current verdict "
			    "is looked at once (cavactl jobs runs)");
	} else {
		note(b, id);
		store_flush(store);	/* before anything is owed */
	}
	return b;
}

bool job_boot_unclean(const struct job_boot *b)
{
	return b->unclean;
}

void job_boot_recovers(struct job_boot *b)
{
	char id[64] = "";

	b->unclean = false;
	read_id(id);
	note(b, id);
}

void job_boot_stop(struct job_boot *b)
{
	if (!b->unclean) {
		note(b, STOPPED);
	}
}
