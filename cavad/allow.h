/*
 * The allow-list: findings that an administrator says are false.
 *
 * An entry is about one file (and void as soon as its content is another),
 * about content (its SHA-256, wherever it is), or about the name of a threat.
 * It has a reason, an author, and perhaps an end. It is no verdict: the record
 * on the file says infected, as the server did, and whether that is allowed
 * is asked of this list each time somebody wants to read. So an entry that is
 * gone lets nothing through.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_ALLOW_H
#define CAVAD_ALLOW_H

#include "cavad/store_row.h"
#include "common/digest.h"

/* A(number, NAME, "name"). The numbers are in records. */
#define ALLOW_KINDS(A) \
	A(1, FILE, "file") \
	A(2, HASH, "hash") \
	A(3, THREAT, "threat")

enum allow_kind {
#define A(number, NAME, text) ALLOW_##NAME = number,
	ALLOW_KINDS(A)
#undef A
};

#define ALLOW_MAX 1000		/* entries */
#define ALLOW_TEXT_MAX 1000	/* bytes of a reason, an author */
#define ALLOW_RECORD_MAX 16384

struct allow {
	uint64_t id;
	enum allow_kind kind;
	struct ident ident;	/* FILE */
	struct content content;	/* FILE without a hash: of the content */
	bool hashed;		/* HASH, and FILE where it is known */
	uint8_t digest[DIGEST_SIZE];
	const char *path;	/* FILE: for people; else where it was found */
	const char *threat;	/* THREAT: its name; else for people */
	const char *reason;
	const char *author;
	int64_t made;		/* s since the epoch */
	int64_t expires;	/* the same; 0 = never */
};

/* What is known of content that a server says is infected. */
struct allow_facts {
	const struct ident *ident;
	const struct content *content;	/* as it is now */
	const char *threat;
	bool hashed;
	uint8_t digest[DIGEST_SIZE];
	int64_t now;		/* s since the epoch */
};

enum allow_answer {
	ALLOW_NO,
	ALLOW_YES,
	ALLOW_UNKNOWN		/* the hash decides, and it is not known */
};

/* Pure. Does this entry let that through? */
enum allow_answer allow_matches(const struct allow *entry,
				const struct allow_facts *facts);

/* Pure; never NULL. And back: false = there is no such kind. */
const char *allow_kind_text(enum allow_kind kind);
bool allow_kind_of(const char *text, enum allow_kind *kind);

void allow_put_record(struct buf *b, const struct allow *entry);
struct allow *allow_get_record(TALLOC_CTX *mem_ctx, uint64_t id,
			       struct buf *b);

struct allows;

/* fn hears of an entry that is there or gone from now on. 0 or errno. */
int allows_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		  struct store *store,
		  void (*fn)(void *private_data, const struct allow *entry,
			     bool there, const char *why),
		  void *private_data, struct allows **result);

/* Is there an entry at all? */
bool allows_any(const struct allows *a);

/* *id: the entry that answers ALLOW_YES. */
enum allow_answer allows_judge(const struct allows *a,
			       const struct allow_facts *facts, uint64_t *id);

/* Borrowed: i from 0, NULL after the last; by its id. */
const struct allow *allows_entry(const struct allows *a, unsigned int i);
const struct allow *allows_find(const struct allows *a, uint64_t id);

/*
 * In force once it is committed, when the request ends: 0, ENOSPC, errno.
 * .id is made here. allows_recv() gives it. E2BIG: there are ALLOW_MAX.
 */
struct tevent_req *allows_add_send(TALLOC_CTX *mem_ctx,
				   struct tevent_context *ev,
				   struct allows *a,
				   const struct allow *entry);
/* No longer in force from this call on. ENOENT: there is none. */
struct tevent_req *allows_remove_send(TALLOC_CTX *mem_ctx,
				      struct tevent_context *ev,
				      struct allows *a, uint64_t id);
int allows_recv(struct tevent_req *req, uint64_t *id);

#endif
