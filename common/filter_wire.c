/*
 * A filter as bytes: CONFIG, and the file for the time without cavad.
 *
 * Lists stay in one piece (u32 length, then the items, each ended by a NUL),
 * so that nothing is allocated to decode one or to walk through it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/filter.h"

#include <errno.h>
#include <string.h>

static void filter_put_list(struct buf *b, const struct filter_list *list)
{
	buf_put_u32(b, list->size);
	buf_put_bytes(b, list->items, list->size);
}

void filter_put(struct buf *b, const struct filter *f)
{
	buf_put_u8(b, f->enabled);
	buf_put_u8(b, (uint8_t)f->profile);
	buf_put_u8(b, f->open_on_fail);
	buf_put_u8(b, (uint8_t)f->denial);
	buf_put_u8(b, (uint8_t)f->on_read);
	buf_put_u8(b, (uint8_t)f->on_close);
	buf_put_u8(b, (uint8_t)f->on_rename);
	buf_put_u8(b, f->extensions_include);
	buf_put_u8(b, f->no_extension_skip);
	buf_put_u8(b, f->size_deny);
	buf_put_u8(b, f->tiered);
	buf_put_u8(b, f->allows);
	buf_put_u32(b, f->scan_timeout);
	buf_put_u32(b, f->tiered_timeout);
	buf_put_u32(b, f->sync_wait);
	buf_put_u64(b, f->size_maximum);
	buf_put_u64(b, (uint64_t)f->signature_min);
	filter_put_list(b, &f->extensions);
	filter_put_list(b, &f->paths);
	filter_put_list(b, &f->accounts);
	filter_put_list(b, &f->hosts);
}

/* A number of 0 to max. */
static unsigned int filter_get_up_to(struct buf *b, unsigned int max)
{
	unsigned int v = buf_get_u8(b);

	if (v > max && b->error == 0) {
		b->error = EBADMSG;
	}
	return v > max ? 0 : v;
}

static void filter_get_list(struct buf *b, struct filter_list *list)
{
	uint32_t size = buf_get_u32(b);
	const char *items = NULL;

	*list = (struct filter_list) { .size = 0 };
	if (b->error != 0 || size == 0) {
		return;
	}
	items = (const char *)b->data + b->pos;
	if (size > FILTER_LIST_MAX || size > buf_left(b) ||
	    items[size - 1] != '\0') {
		b->error = EBADMSG;
		return;
	}
	b->pos += size;
	*list = (struct filter_list) { .items = items, .size = size };
}

void filter_get(struct buf *b, struct filter *f)
{
	*f = (struct filter) { .enabled = filter_get_up_to(b, 1) };
	f->profile = filter_get_up_to(b, FILTER_NO_SCAN);
	f->open_on_fail = filter_get_up_to(b, 1);
	f->denial = filter_get_up_to(b, FILTER_DENIAL_ACCESS_DENIED);
	f->on_read = filter_get_up_to(b, FILTER_TRIGGER_NO);
	f->on_close = filter_get_up_to(b, FILTER_TRIGGER_NO);
	f->on_rename = filter_get_up_to(b, FILTER_TRIGGER_NO);
	f->extensions_include = filter_get_up_to(b, 1);
	f->no_extension_skip = filter_get_up_to(b, 1);
	f->size_deny = filter_get_up_to(b, 1);
	f->tiered = filter_get_up_to(b, 1);
	f->allows = filter_get_up_to(b, 1);
	f->scan_timeout = buf_get_u32(b);
	f->tiered_timeout = buf_get_u32(b);
	f->sync_wait = buf_get_u32(b);
	f->size_maximum = buf_get_u64(b);
	f->signature_min = (int64_t)buf_get_u64(b);
	filter_get_list(b, &f->extensions);
	filter_get_list(b, &f->paths);
	filter_get_list(b, &f->accounts);
	filter_get_list(b, &f->hosts);
}

const char *filter_list_next(const struct filter_list *list, const char *item)
{
	item = item == NULL ? list->items : item + strlen(item) + 1;
	return list->size == 0 || item == list->items + list->size ? NULL :
								     item;
}

int filter_list_make(TALLOC_CTX *mem_ctx, const char *const *items,
		     const char *prefix, struct filter_list *list)
{
	char bytes[FILTER_LIST_MAX];
	struct buf b = buf_writer(bytes, sizeof(bytes));
	char *copy = NULL;

	*list = (struct filter_list) { .size = 0 };
	for (; items != NULL && *items != NULL; items++) {
		buf_put_bytes(&b, prefix, strlen(prefix));
		buf_put_bytes(&b, *items, strlen(*items) + 1);
	}
	if (b.error != 0) {
		return EMSGSIZE;
	}
	if (b.pos == 0) {
		return 0;
	}
	copy = talloc_memdup(mem_ctx, bytes, b.pos);
	if (copy == NULL) {
		return ENOMEM;
	}
	*list = (struct filter_list) { .items = copy,
				       .size = (uint32_t)b.pos };
	return 0;
}

int filter_copy(TALLOC_CTX *mem_ctx, const struct filter *from,
		struct filter *to)
{
	struct filter copy = *from;
	struct filter_list *lists[] = { &copy.extensions, &copy.paths,
					&copy.accounts, &copy.hosts };
	char *items[4] = { NULL };
	size_t i;

	for (i = 0; i < 4; i++) {
		if (lists[i]->size == 0) {
			lists[i]->items = NULL;
			continue;
		}
		items[i] = talloc_memdup(mem_ctx, lists[i]->items,
					 lists[i]->size);
		if (items[i] == NULL) {
			while (i-- > 0) {
				talloc_free(items[i]);
			}
			return ENOMEM;
		}
		lists[i]->items = items[i];
	}
	*to = copy;
	return 0;
}
