/*
 * ip_pool, looked at: see ip_pool.h.
 *
 * An address is this host's if a socket can be bound to it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/ip_pool.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "common/address.h"
#include "common/tick.h"

#define IP_POOL_INTERVAL 10	/* s */
#define IP_POOL_POLL 20000	/* us, while names are looked up */
#define IP_POOL_ADDRESSES 16	/* of a name */

struct ip_pool_entry {
	LIST_ENTRY(ip_pool_entry) entry;
	char *name;
	bool wanted;		/* it is in ip_pool */
	bool foreign;		/* not this host's, and that has been said */
	struct in6_addr here;	/* one that is this host's, or :: */
	struct in6_addr addresses[IP_POOL_ADDRESSES];
	size_t count;
	struct ip_pool_lookup *lookup;	/* under way */
};

/* Not below the pool: the C library may still write to it. */
struct ip_pool_lookup {
	struct gaicb request;
	struct gaicb *list[1];
	struct addrinfo hints;
};

struct ip_pool {
	const struct config *config;
	struct events *events;
	struct tick *tick;
	bool looking;		/* names up, and it comes soon */
	LIST_HEAD(, ip_pool_entry) entries;
	unsigned int turn;
};

static void ip_pool_wait(struct ip_pool *p, bool looking);

static void ip_pool_add(struct ip_pool_entry *e, const struct addrinfo *ai)
{
	struct in6_addr *to = &e->addresses[e->count];

	if (e->count == IP_POOL_ADDRESSES) {
		return;
	}
	e->count += address_of(ai->ai_addr, to);
}

static void ip_pool_said(struct ip_pool *p, struct ip_pool_entry *e,
			 const char *why)
{
	e->foreign = why != NULL;
	if (why == NULL) {
		event_clear(p->events, EVENT_SW_AVSCAN_CAVA_IP_POOL, e->name);
		return;
	}
	event_raise(p->events, EVENT_SW_AVSCAN_CAVA_IP_POOL, e->name,
		    "%s; servers are not sent there as long as ip_pool has "
		    "another address: set up the interface or name, or "
		    "correct ip_pool in cavad.conf", why);
}

/* What a look-up brought; `error` as of getaddrinfo(). */
static void ip_pool_found(struct ip_pool *p, struct ip_pool_entry *e,
			  int error, const struct addrinfo *list)
{
	const struct addrinfo *ai = NULL;
	size_t before = 0;
	bool here = false;

	if (error != 0) {
		ip_pool_said(p, e, gai_strerror(error));
		return;
	}
	e->count = 0;
	for (ai = list; ai != NULL; ai = ai->ai_next) {
		before = e->count;
		ip_pool_add(e, ai);
		if (here || !address_is_here(ai->ai_addr, ai->ai_addrlen)) {
			continue;
		}
		here = true;
		if (e->count > before) {
			e->here = e->addresses[before];
		}
	}
	ip_pool_said(p, e, here ? NULL : "no address of this host");
}

static void ip_pool_free_lookup(struct ip_pool_lookup *lookup)
{
	freeaddrinfo(lookup->request.ar_result);
	talloc_free(lookup);
}

static void ip_pool_lookup(struct ip_pool *p, struct ip_pool_entry *e)
{
	struct ip_pool_lookup *l = talloc_zero(NULL, struct ip_pool_lookup);
	int ret = EAI_MEMORY;

	if (l != NULL) {
		l->hints.ai_socktype = SOCK_DGRAM;
		l->request.ar_request = &l->hints;
		l->request.ar_name = talloc_strdup(l, e->name);
		l->list[0] = &l->request;
	}
	if (l != NULL && l->request.ar_name != NULL) {
		ret = getaddrinfo_a(GAI_NOWAIT, l->list, 1, NULL);
	}
	if (ret != 0) {
		talloc_free(l);
		ip_pool_said(p, e, gai_strerror(ret));
		return;
	}
	e->lookup = l;
}

static struct ip_pool_entry *ip_pool_find(const struct ip_pool *p,
					  const char *name)
{
	struct ip_pool_entry *e = NULL;

	LIST_FOREACH(e, &p->entries, entry) {
		if (strcasecmp(e->name, name) == 0) {
			return e;
		}
	}
	return NULL;
}

static int ip_pool_entry_destructor(struct ip_pool_entry *e)
{
	LIST_REMOVE(e, entry);
	if (e->lookup == NULL) {
		return 0;
	}
	/* what cannot be stopped is left to the library */
	if (gai_cancel(&e->lookup->request) != EAI_NOTCANCELED) {
		ip_pool_free_lookup(e->lookup);
	}
	return 0;
}

/* NULL = no memory */
static struct ip_pool_entry *ip_pool_make(struct ip_pool *p, const char *name)
{
	struct ip_pool_entry *e = talloc_zero(p, struct ip_pool_entry);

	if (e == NULL) {
		return NULL;
	}
	e->name = talloc_strdup(e, name);
	if (e->name == NULL) {
		talloc_free(e);
		return NULL;
	}
	LIST_INSERT_HEAD(&p->entries, e, entry);
	talloc_set_destructor(e, ip_pool_entry_destructor);
	return e;
}

/* Numbers are there at once, names come later. */
static void ip_pool_look_at(struct ip_pool *p, struct ip_pool_entry *e)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_DGRAM,
	};
	struct addrinfo *list = NULL;
	int ret;

	if (e->lookup != NULL) {
		return;
	}
	ret = getaddrinfo(e->name, NULL, &hints, &list);
	if (ret != 0) {
		ip_pool_lookup(p, e);
		return;
	}
	ip_pool_found(p, e, 0, list);
	freeaddrinfo(list);
}

static void ip_pool_drop_unwanted(struct ip_pool *p)
{
	struct ip_pool_entry *e = NULL;
	struct ip_pool_entry *next = NULL;

	for (e = LIST_FIRST(&p->entries); e != NULL; e = next) {
		next = LIST_NEXT(e, entry);
		if (!e->wanted) {
			ip_pool_said(p, e, NULL);
			talloc_free(e);
		}
	}
}

static void ip_pool_look(struct ip_pool *p)
{
	const char **names = p->config->settings.ip_pool;
	struct ip_pool_entry *e = NULL;

	LIST_FOREACH(e, &p->entries, entry) {
		e->wanted = false;
	}
	for (; names != NULL && *names != NULL; names++) {
		e = ip_pool_find(p, *names);
		e = e != NULL ? e : ip_pool_make(p, *names);
		if (e == NULL) {
			continue;	/* the next look may have memory */
		}
		e->wanted = true;
		ip_pool_look_at(p, e);
	}
	ip_pool_drop_unwanted(p);
	ip_pool_wait(p, true);
}

/* Takes what the look-ups have found. Is one still under way? */
static bool ip_pool_take(struct ip_pool *p)
{
	struct ip_pool_entry *e = NULL;
	bool looking = false;

	LIST_FOREACH(e, &p->entries, entry) {
		struct ip_pool_lookup *l = e->lookup;
		int ret = l == NULL ? 0 : gai_error(&l->request);

		if (ret == EAI_INPROGRESS) {
			looking = true;
		} else if (l != NULL) {
			e->lookup = NULL;
			ip_pool_found(p, e, ret, l->request.ar_result);
			ip_pool_free_lookup(l);
		}
	}
	return looking;
}

static void ip_pool_wait(struct ip_pool *p, bool looking)
{
	p->looking = looking;
	tick_in(p->tick, looking ? IP_POOL_POLL :
				   IP_POOL_INTERVAL * 1000000ULL);
}

static void ip_pool_time(void *private_data)
{
	struct ip_pool *p = talloc_get_type_abort(private_data,
						  struct ip_pool);

	if (!p->looking) {
		ip_pool_look(p);
		return;
	}
	ip_pool_wait(p, ip_pool_take(p));
}

int ip_pool_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		   const struct config *config, struct events *events,
		   struct ip_pool **result)
{
	struct ip_pool *p = talloc_zero(mem_ctx, struct ip_pool);

	if (p == NULL) {
		return ENOMEM;
	}
	p->config = config;
	p->events = events;
	LIST_INIT(&p->entries);
	p->tick = tick_create(p, ev, ip_pool_time, p);
	if (p->tick == NULL) {
		talloc_free(p);
		return ENOMEM;
	}
	ip_pool_look(p);
	*result = p;
	return 0;
}

unsigned int ip_pool_turn(void *private_data)
{
	struct ip_pool *p = talloc_get_type_abort(private_data,
						  struct ip_pool);
	const char **names = p->config->settings.ip_pool;
	unsigned int count = 0;
	unsigned int i;

	while (names != NULL && names[count] != NULL) {
		count++;
	}
	if (count == 0) {
		return 0;
	}
	for (i = 0; i < count; i++) {
		unsigned int turn = p->turn++ % count;
		const struct ip_pool_entry *e = ip_pool_find(p, names[turn]);

		if (e == NULL || !e->foreign) {
			return turn;
		}
	}
	return p->turn++ % count;
}

bool ip_pool_resolves(const struct ip_pool *p, const char *name,
		      const struct in6_addr *addr)
{
	const struct ip_pool_entry *e = ip_pool_find(p, name);
	size_t i;

	for (i = 0; e != NULL && i < e->count; i++) {
		if (memcmp(&e->addresses[i], addr, sizeof(*addr)) == 0) {
			return true;
		}
	}
	return false;
}

bool ip_pool_here(const struct ip_pool *p, unsigned int i, const char **name,
		  struct in6_addr *addr)
{
	const struct ip_pool_entry *e = LIST_FIRST(&p->entries);

	for (; e != NULL && i > 0; i--) {
		e = LIST_NEXT(e, entry);
	}
	if (e == NULL) {
		return false;
	}
	*name = e->foreign || IN6_IS_ADDR_UNSPECIFIED(&e->here) ? NULL :
		e->name;
	*addr = e->here;
	return true;
}
