/*
 * Zones: see zone.h.
 *
 * 1. Names of zones and shares are the same in upper and lower case, as in
 *    cavad.conf and smb.conf. The first one that was seen is shown.
 * 2. A zone of cavad.conf that was never announced has no shares. One that
 *    was taken out of cavad.conf stays as long as it was announced.
 * 3. The file is written in the loop, with an fsync: at start, when
 *    cavad.conf was read again, and once a turn when zones turned up. Their
 *    number is bounded, so this is rare.
 * 4. An exempt reader is logged once a day and account and host.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "cavad/object_check.h"
#include "cavad/zone.h"
#include "cavad/zone_id.h"
#include "common/log.h"

#define ZONE_SHARE_NAME_MAX 255	/* with the zone's: fits a key */
#define ZONE_READERS 1024	/* exempt ones remembered for a day */
#define ZONE_DAY 86400
#define ZONES_ALL_MAX (2 * FILTER_ZONES_MAX)

struct zone {
	char *name;
	uint32_t id;
	bool configured;
	bool made;		/* by an administrator */
	unsigned int connections;
	struct zone_share *shares;	/* ended by name == NULL */
	size_t shares_count;
};

struct zone_reader {
	char *user;
	char *client;
};

struct zones {
	struct tevent_context *ev;
	const struct config *config;
	struct store *store;
	struct counters *counters;
	struct events *events;
	struct zone_ids *ids;
	struct zone **list;	/* sorted by name */
	size_t count;
	size_t shares_count;
	bool full;		/* said */
	struct tevent_immediate *write;
	int64_t day;		/* of the readers */
	struct zone_reader *readers;
	size_t readers_count;
};

struct zone_member {
	struct zone *zone;	/* NULL: not kept */
};

static void zones_write_now(struct tevent_context *ev,
			    struct tevent_immediate *im, void *private_data);
static void zone_stored(struct tevent_req *subreq);

/* --- the filters, for modules that cannot reach cavad --- */

static void zone_put_filter(FILE *f, const struct config *config,
			    const char *zone)
{
	const struct filter filter = config_filter(config, zone);
	uint8_t bytes[FILTER_MAX];
	struct buf b = buf_writer(bytes, sizeof(bytes));
	size_t i;

	filter_put(&b, &filter);
	if (b.error != 0) {
		log_error("the filter of zone %s is too long for %s/filters",
			  zone, config->settings.state_dir);
		return;
	}
	fprintf(f, "%s ", zone);
	for (i = 0; i < b.pos; i++) {
		fprintf(f, "%02x", bytes[i]);
	}
	fputc('\n', f);
}

/* 0 or errno */
static int zones_put_file(const struct zones *z, const char *path)
{
	FILE *f = NULL;
	size_t i;
	int fd = -1;
	int ret;

	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		  0644);
	if (fd == -1) {
		return errno;
	}
	f = fdopen(fd, "w");
	if (f == NULL) {
		ret = errno;
		close(fd);
		return ret;
	}
	for (i = 0; i < z->count; i++) {
		zone_put_filter(f, z->config, z->list[i]->name);
	}
	ret = fflush(f);
	if (ret == 0) {
		ret = fsync(fileno(f));
	}
	ret = ret == 0 ? 0 : errno;
	if (ret == 0 && ferror(f)) {
		ret = EIO;	/* room came back after a part was lost */
	}
	fclose(f);
	return ret;
}

static int zones_write(const struct zones *z)
{
	const char *dir = z->config->settings.state_dir;
	char *path = talloc_asprintf(NULL, "%s/filters", dir);
	char *next = talloc_asprintf(path, "%s/filters.new", dir);
	int ret;

	if (path == NULL || next == NULL) {
		talloc_free(path);
		return ENOMEM;
	}
	ret = zones_put_file(z, next);
	if (ret == 0) {
		ret = rename(next, path);
		ret = ret == -1 ? errno : 0;
	}
	if (ret != 0) {
		unlink(next);
	}
	talloc_free(path);
	return ret;
}

/* Is there a zone that scans? Without service_enabled there need not be. */
static void zones_look(struct zones *z)
{
	bool scans = !z->config->settings.service_enabled;
	size_t i;

	for (i = 0; i < z->count && !scans; i++) {
		scans = config_filter(z->config, z->list[i]->name).enabled;
	}
	if (scans) {
		event_clear(z->events, EVENT_SW_AVSCAN_CAVA_NO_ZONE, "");
		return;
	}
	event_raise(z->events, EVENT_SW_AVSCAN_CAVA_NO_ZONE, "",
		    "service_enabled = yes, but no zone has filter_enabled = "
		    "yes and is in scan_zones; cavactl zones lists them");
}

static void zones_write_now(struct tevent_context *ev,
			    struct tevent_immediate *im, void *private_data)
{
	struct zones *z = talloc_get_type_abort(private_data, struct zones);
	int ret = zones_write(z);

	(void)ev;
	(void)im;
	zones_look(z);
	if (ret != 0) {
		log_error("%s/filters cannot be written: %s; smbds that "
			  "cannot reach cavad use the one before",
			  z->config->settings.state_dir, strerror(ret));
	}
}

/* --- the list --- */

static struct zone *zone_find(const struct zones *z, const char *name)
{
	size_t i;

	for (i = 0; i < z->count; i++) {
		if (strcasecmp(z->list[i]->name, name) == 0) {
			return z->list[i];
		}
	}
	return NULL;
}

static void zone_insert(struct zones *z, struct zone *zone)
{
	size_t i = z->count;

	while (i > 0 && strcasecmp(z->list[i - 1]->name, zone->name) > 0) {
		z->list[i] = z->list[i - 1];
		i--;
	}
	z->list[i] = zone;
	z->count++;
}

/* NULL = no memory, or there are too many. */
static struct zone *zone_make(struct zones *z, const char *name)
{
	struct zone **list = NULL;
	struct zone *zone = zone_find(z, name);

	if (zone != NULL) {
		return zone;
	}
	list = talloc_realloc(z, z->list, struct zone *, z->count + 1);
	if (list == NULL) {
		return NULL;
	}
	z->list = list;
	zone = talloc_zero(z, struct zone);
	if (zone == NULL) {
		return NULL;
	}
	zone->name = talloc_strdup(zone, name);
	zone->shares = talloc_zero_array(zone, struct zone_share, 1);
	if (zone->name == NULL || zone->shares == NULL) {
		talloc_free(zone);
		return NULL;
	}
	zone->id = zone_id(z->ids, name);
	zone_insert(z, zone);
	return zone;
}

static struct zone_share *zone_share_find(const struct zone *zone,
					  const char *name)
{
	struct zone_share *share = NULL;

	for (share = zone->shares; share->name != NULL; share++) {
		if (strcasecmp(share->name, name) == 0) {
			return share;
		}
	}
	return NULL;
}

/* 0; EEXIST: as it was; ENOSPC; ENOMEM. */
static int zone_share_set(struct zones *z, struct zone *zone,
			  const char *name, const char *root)
{
	struct zone_share *share = zone_share_find(zone, name);
	struct zone_share *shares = NULL;
	char *copy = NULL;

	if (share != NULL && strcmp(share->root, root) == 0) {
		return EEXIST;
	}
	if (share == NULL && z->shares_count >= ZONE_SHARES) {
		return ENOSPC;
	}
	copy = talloc_strdup(zone, root);
	if (copy == NULL) {
		return ENOMEM;
	}
	if (share != NULL) {
		talloc_free((void *)share->root);
		share->root = copy;
		return 0;
	}
	shares = talloc_realloc(zone, zone->shares, struct zone_share,
				zone->shares_count + 2);
	if (shares == NULL) {
		return ENOMEM;
	}
	zone->shares = shares;
	share = &shares[zone->shares_count];
	share->root = copy;
	share->name = talloc_strdup(zone, name);
	if (share->name == NULL) {
		return ENOMEM;
	}
	share[1] = (struct zone_share) { .name = NULL };
	zone->shares_count++;
	z->shares_count++;
	return 0;
}

/* --- from cavad.conf and from the database --- */

/* Rule 2. 0 or ENOMEM. */
static int zones_configured(struct zones *z)
{
	struct filter_object **filters = z->config->filters;
	struct zone *zone = NULL;
	size_t kept = 0;
	size_t i;

	for (i = 0; i < z->count; i++) {
		zone = z->list[i];
		zone->configured = config_zone(z->config, zone->name) != NULL;
		if (zone->configured || zone->made || zone->shares_count > 0 ||
		    zone->connections > 0 ||
		    strcasecmp(zone->name, CONFIG_ZONE_DEFAULT) == 0) {
			z->list[kept] = zone;
			kept++;
		} else {
			talloc_free(zone);
		}
	}
	z->count = kept;
	for (; *filters != NULL; filters++) {
		zone = zone_make(z, (*filters)->name);
		if (zone == NULL) {
			return ENOMEM;
		}
		zone->configured = true;
	}
	return zone_make(z, CONFIG_ZONE_DEFAULT) == NULL ? ENOMEM : 0;
}

static int zones_stored(struct zones *z)
{
	struct store_zone *rows = NULL;
	struct zone *zone = NULL;
	size_t i;
	int ret = store_zone_list(z->store, z, &rows);

	for (i = 0; ret == 0 && rows[i].zone != NULL; i++) {
		if (z->count >= ZONES_ALL_MAX &&
		    zone_find(z, rows[i].zone) == NULL) {
			continue;
		}
		zone = zone_make(z, rows[i].zone);
		if (zone != NULL && rows[i].share[0] == '\0') {
			zone->made = true;
			continue;
		}
		ret = zone == NULL ? ENOMEM :
			zone_share_set(z, zone, rows[i].share, rows[i].root);
		ret = ret == ENOMEM ? ENOMEM : 0;
	}
	talloc_free(rows);
	return ret;
}

int zones_changed(struct zones *z)
{
	int ret = zones_configured(z);

	if (ret != 0) {
		return ret;
	}
	zones_look(z);
	return zones_write(z);
}

int zones_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		 const struct config *config, struct store *store,
		 struct counters *counters, struct events *events,
		 struct zones **result)
{
	struct zones *z = talloc_zero(mem_ctx, struct zones);
	int ret;

	if (z == NULL) {
		return ENOMEM;
	}
	z->ev = ev;
	z->config = config;
	z->store = store;
	z->counters = counters;
	z->events = events;
	z->write = tevent_create_immediate(z);
	z->readers = talloc_zero_array(z, struct zone_reader, ZONE_READERS);
	ret = z->write == NULL || z->readers == NULL ? ENOMEM : 0;
	ret = ret != 0 ? ret : zone_ids_create(z, ev, store, &z->ids);
	ret = ret != 0 ? ret : zones_configured(z);
	ret = ret != 0 ? ret : zones_stored(z);
	ret = ret != 0 ? ret : zones_write(z);
	if (ret != 0) {
		talloc_free(z);
		return ret;
	}
	zones_look(z);
	*result = z;
	return 0;
}

/* --- from the modules --- */

static void zone_stored(struct tevent_req *subreq)
{
	int ret = store_write_recv(subreq);

	talloc_free(subreq);
	if (ret != 0) {
		log_warning("a share's zone cannot be kept in the database: "
			    "%s; it is announced again", strerror(ret));
	}
}

static void zone_store(struct zones *z, const struct zone *zone,
		       const char *share, const char *root)
{
	const struct store_zone row = {
		.since = (int64_t)time(NULL) * 1000000000,
		.zone = zone->name,
		.share = share,
		.root = root,
	};
	struct tevent_req *subreq = store_zone_put_send(z, z->ev, z->store,
							&row);

	if (subreq != NULL) {
		tevent_req_set_callback(subreq, zone_stored, z);
	}
}

static void zone_refuse(struct zones *z, const char *name, const char *why)
{
	if (z->full) {
		return;
	}
	z->full = true;
	log_warning("zone \"%s\" of a share (cava:zone) is not kept and has "
		    "the defaults: %s; others are not reported again", name,
		    why);
}

/* NULL: it is not kept. */
static struct zone *zone_announced(struct zones *z, const char *name,
				   const char *share, const char *root)
{
	const char *wrong = object_check_zone(name);
	struct zone *zone = NULL;
	size_t before = z->count;
	int ret;

	if (wrong != NULL) {
		zone_refuse(z, name, wrong);
		return NULL;
	}
	if (zone_find(z, name) == NULL && z->count >= ZONES_ALL_MAX) {
		zone_refuse(z, name, "there are too many zones");
		return NULL;
	}
	zone = zone_make(z, name);
	if (zone == NULL) {
		return NULL;
	}
	if (z->count != before) {
		log_notice("zone %s: announced by share %s; it has no "
			   "section [filter %s] and so the defaults", name,
			   share, name);
		tevent_schedule_immediate(z->write, z->ev, zones_write_now, z);
	}
	if (strlen(share) > ZONE_SHARE_NAME_MAX || share[0] == '\0') {
		return zone;
	}
	ret = zone_share_set(z, zone, share, root);
	if (ret == 0) {
		zone_store(z, zone, share, root);
	} else if (ret == ENOSPC) {
		zone_refuse(z, name, "there are too many shares");
	}
	return zone;
}

/* --- by an administrator --- */

struct tevent_req *zone_add_send(TALLOC_CTX *mem_ctx,
				 struct tevent_context *ev, struct zones *z,
				 const char *name, char **why)
{
	const char *wrong = object_check_zone(name);
	struct store_zone row = {
		.since = (int64_t)time(NULL) * 1000000000,
		.share = "",
		.root = "",
	};
	struct zone *zone = zone_find(z, name);

	*why = NULL;
	if (wrong != NULL) {
		*why = talloc_asprintf(mem_ctx, "zone \"%s\": %s", name, wrong);
		return NULL;
	}
	if (zone == NULL && z->count >= ZONES_ALL_MAX) {
		*why = talloc_asprintf(mem_ctx, "there are %u zones, which is "
				       "the most there may be",
				       ZONES_ALL_MAX);
		return NULL;
	}
	zone = zone_make(z, name);
	if (zone == NULL) {
		return NULL;
	}
	zone->made = true;
	row.zone = zone->name;
	tevent_schedule_immediate(z->write, z->ev, zones_write_now, z);
	return store_zone_put_send(mem_ctx, ev, z->store, &row);
}

/* NULL: it may go. */
static char *zone_stays(TALLOC_CTX *mem_ctx, const struct zone *zone,
			const char *name)
{
	if (zone == NULL) {
		return talloc_asprintf(mem_ctx, "there is no zone %s", name);
	}
	if (zone->configured ||
	    strcasecmp(zone->name, CONFIG_ZONE_DEFAULT) == 0) {
		return talloc_asprintf(mem_ctx, "zone %s has a filter of its "
				       "own (a section in cavad.conf, or "
				       "changed over the API), or is the "
				       "default; what was made or announced "
				       "can be removed", zone->name);
	}
	if (zone->connections > 0) {
		return talloc_asprintf(mem_ctx, "zone %s has %u connections "
				       "of clients; take cava:zone out of "
				       "smb.conf first", zone->name,
				       zone->connections);
	}
	return NULL;
}

static void zone_drop(struct zones *z, struct zone *zone)
{
	size_t i;

	for (i = 0; z->list[i] != zone; i++) {
	}
	z->count--;
	memmove(&z->list[i], &z->list[i + 1],
		(z->count - i) * sizeof(z->list[0]));
	z->shares_count -= zone->shares_count;
	talloc_free(zone);
}

/* Writes end in their order: the last one's end is that of all. */
struct tevent_req *zone_remove_send(TALLOC_CTX *mem_ctx,
				    struct tevent_context *ev,
				    struct zones *z, const char *name,
				    char **why)
{
	struct zone *zone = zone_find(z, name);
	struct tevent_req *req = NULL;
	struct store_zone row = { .share = "" };
	size_t i;

	*why = zone_stays(mem_ctx, zone, name);
	if (*why != NULL || zone == NULL) {
		return NULL;
	}
	row.zone = zone->name;
	for (i = 0; i < zone->shares_count; i++) {
		row.share = zone->shares[i].name;
		talloc_free(store_zone_del_send(mem_ctx, ev, z->store, &row));
	}
	row.share = "";
	req = store_zone_del_send(mem_ctx, ev, z->store, &row);
	if (req == NULL) {
		return NULL;
	}
	zone_drop(z, zone);
	tevent_schedule_immediate(z->write, z->ev, zones_write_now, z);
	return req;
}

static int zone_member_destructor(struct zone_member *member)
{
	if (member->zone != NULL) {
		member->zone->connections--;
	}
	return 0;
}

struct zone_member *zone_enter(TALLOC_CTX *mem_ctx, struct zones *z,
			       const char *zone, const char *share,
			       const char *root)
{
	struct zone_member *member = talloc_zero(mem_ctx, struct zone_member);

	if (member == NULL) {
		return NULL;
	}
	member->zone = zone_announced(z, zone, share, root);
	if (member->zone != NULL) {
		member->zone->connections++;
	}
	talloc_set_destructor(member, zone_member_destructor);
	return member;
}

/* Rule 4. With no room it is logged each time: better twice than not. */
static bool zone_reader_is_new(struct zones *z, const char *user,
			       const char *client)
{
	int64_t day = (int64_t)time(NULL) / ZONE_DAY;
	struct zone_reader *r = NULL;
	size_t i;

	if (day != z->day) {
		for (i = 0; i < z->readers_count; i++) {
			TALLOC_FREE(z->readers[i].user);
			TALLOC_FREE(z->readers[i].client);
		}
		z->readers_count = 0;
		z->day = day;
	}
	for (i = 0; i < z->readers_count; i++) {
		r = &z->readers[i];
		if (r->user != NULL && r->client != NULL &&
		    strcmp(r->user, user) == 0 &&
		    strcmp(r->client, client) == 0) {
			return false;
		}
	}
	if (z->readers_count < ZONE_READERS) {
		r = &z->readers[z->readers_count];
		r->user = talloc_strdup(z->readers, user);
		r->client = talloc_strdup(z->readers, client);
		z->readers_count++;
	}
	return true;
}

void zone_count(struct zones *z, const struct proto_count *count)
{
	struct counters *c = z->counters;

	c->files_skipped_profile += count->profile;
	c->files_skipped_extension += count->extension;
	c->files_skipped_path += count->path;
	c->files_skipped_exempt += count->exempt;
	c->files_skipped_tiered += count->tiered;
	c->files_skipped_per_filter += count->profile + count->extension +
				       count->path + count->exempt +
				       count->tiered;
	c->files_skipped_per_size += count->size;
	if (count->exempt > 0 &&
	    zone_reader_is_new(z, count->user, count->client)) {
		log_notice("%s at %s reads without scans (exempt_accounts, "
			   "exempt_hosts)", count->user, count->client);
	}
}

bool zone_status(const struct zones *z, unsigned int i,
		 struct zone_status *status)
{
	const struct zone *zone = NULL;

	if (i >= z->count) {
		return false;
	}
	zone = z->list[i];
	*status = (struct zone_status) {
		.name = zone->name,
		.id = zone->id,
		.configured = zone->configured,
		.connections = zone->connections,
		.shares = zone->shares,
	};
	return true;
}

/* *share is set when one holds it. */
static const char *zones_find(const struct zones *z, const char *path,
			      const struct zone_share **share)
{
	const char *zone = CONFIG_ZONE_DEFAULT;
	size_t best = 0;
	size_t i;
	size_t k;

	for (i = 0; i < z->count; i++) {
		for (k = 0; k < z->list[i]->shares_count; k++) {
			const char *root = z->list[i]->shares[k].root;
			size_t len = strlen(root);

			if (len > best && object_path_below(path, root)) {
				best = len;
				zone = z->list[i]->name;
				*share = &z->list[i]->shares[k];
			}
		}
	}
	return zone;
}

const char *zones_name(const struct zones *z, const char *path)
{
	const struct zone_share *share = NULL;

	return zones_find(z, path, &share);
}

const char *zones_share(const struct zones *z, const char *path)
{
	const struct zone_share *share = NULL;

	zones_find(z, path, &share);
	return share == NULL ? "" : share->name;
}

const char *zones_root(const struct zones *z, const char *path)
{
	const struct zone_share *share = NULL;

	zones_find(z, path, &share);
	return share == NULL ? "" : share->root;
}

const char *zones_pool(const struct zones *z, const char *path)
{
	return config_pool(z->config, zones_name(z, path));
}

bool zones_tiered(const struct zones *z, const char *path)
{
	return config_filter(z->config, zones_name(z, path)).tiered;
}

unsigned int zones_response(const struct zones *z, const char *path)
{
	const struct filter_object *filter = config_zone(z->config,
							 zones_name(z, path));

	return filter == NULL ? 0 : filter->threat_response;
}
