/*
 * Events are told to others: event_command and event_webhook of cavad.conf.
 *
 * Each has a queue of its own, one event at a time, in their order. The number
 * of the last change of an event that was told is in the database, so that
 * what was not told when cavad ended, however it did, is told by the next
 * one; some may be told twice, by the same id and state. What was told is
 * never older than event_command or event_webhook itself.
 *
 * The command is run once for each (command.h). A web hook gets a POST of
 * JSON, again with growing pauses (1 s to 5 min) until it has answered with a
 * status of 200 to 299; one of 400 to 499 (but 408 and 429) is for good. With
 * DELIVERY_MAX that wait the oldest goes, which is counted and an event.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_EVENT_DELIVERY_H
#define CAVAD_EVENT_DELIVERY_H

#include "cavad/config.h"
#include "cavad/counter.h"
#include "cavad/event_history.h"

#define DELIVERY_MAX 1000	/* that wait, for each of the two */

struct event_delivery;

/* events, history and store must outlive it. 0 or errno. */
int event_delivery_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			  const struct config *config, struct store *store,
			  struct events *events,
			  struct event_history *history,
			  struct counters *counters,
			  struct event_delivery **result);

/* The settings are others, perhaps. */
void event_delivery_config_changed(struct event_delivery *d);

/*
 * Pure but for memory: the environment of the command, NULL-terminated; each
 * value is printable and one line. NULL = no memory.
 */
char **event_environment(TALLOC_CTX *mem_ctx, const char *state,
			 const struct event_row *row);

/* Pure. "raised", "repeated", "cleared", "happened" */
const char *event_change_text(enum event_change change);

#endif
