/*
 * The filter in force on a tree connect, what it is asked about, and what it
 * lets through.
 *
 * It comes from, in this order: CONFIG of cavad; the file that cavad keeps
 * for the time when it is away (cava:filters); cava:profile and
 * cava:open_on_fail of smb.conf. A new one holds from the next operation
 * on: what handles were cleared by another filter is looked at again.
 *
 * Names are as the kernel has them, by the descriptor: what a client calls
 * the file, or how it came there, does not matter. Facts that no rule looks
 * at are not gathered.
 *
 * A file that is left out when it is written (by a rule, by a profile that
 * does not scan, since scanning is off) gets a mark, a record with the result
 * "skipped". Who reads it where it is not left out (its directory was renamed,
 * it has another name in another share, the filter was changed, scanning is on
 * again) waits for a scan, in profile standard too. The same mark is left
 * where a notice is lost, since neither cavad nor the spool takes it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/vfs_cava.h"

#include <sys/xattr.h>

#define CAVA_COUNT_PAUSE 1	/* s between two COUNTs */
#define FILTER_DELETED " (deleted)"	/* d_path() in the kernel */
/* Bytes of cava:filters: all zones of cavad, each as large as it may be. */
#define CAVA_FILTERS_MAX (2 * FILTER_ZONES_MAX * \
			  (FILTER_ZONE_MAX + 2 + 2 * FILTER_MAX))

/* --- where it comes from --- */

void cava_filter_set(struct cava *cava, const struct filter *filter)
{
	TALLOC_CTX *lists = talloc_new(cava);
	struct filter copy;
	int ret = ENOMEM;

	if (lists != NULL) {
		ret = filter_copy(lists, filter, &copy);
	}
	if (ret != 0) {
		DBG_ERR("cava: out of memory; zone %s keeps the filter it "
			"had\n", cava->zone);
		TALLOC_FREE(lists);
		return;
	}
	TALLOC_FREE(cava->filter_lists);
	cava->filter_lists = lists;
	cava->filter = copy;
	cava->filter_number++;
}

/* One line of cava:filters: ZONE, a space, the filter in hex. */
static bool filter_line(struct cava *cava, const char *line)
{
	size_t len = strlen(cava->zone);
	TALLOC_CTX *frame = NULL;
	const char *hex = NULL;
	uint8_t *bytes = NULL;
	size_t n = 0;
	struct filter filter;
	struct buf b;

	if (strncmp(line, cava->zone, len) != 0 || line[len] != ' ') {
		return false;
	}
	frame = talloc_stackframe();
	hex = line + len + 1;
	bytes = talloc_size(frame, strlen(hex) / 2 + 1);
	if (bytes == NULL) {
		TALLOC_FREE(frame);
		return false;
	}
	n = strhex_to_str((char *)bytes, strlen(hex) / 2, hex, strlen(hex));
	b = buf_reader(bytes, n);
	filter_get(&b, &filter);
	if (buf_finish(&b) != 0) {
		DBG_WARNING("cava: the line of zone %s in cava:filters makes "
			    "no sense\n", cava->zone);
		TALLOC_FREE(frame);
		return false;
	}
	cava_filter_set(cava, &filter);
	TALLOC_FREE(frame);
	return true;
}

/* As root; the file belongs to cavad's account. */
void cava_filter_load(struct cava *cava, const char *path)
{
	TALLOC_CTX *frame = talloc_stackframe();
	char **lines = NULL;
	int count = 0;
	int i = 0;

	lines = file_lines_load(path, &count, CAVA_FILTERS_MAX, frame);
	for (i = 0; lines != NULL && i < count; i++) {
		bool found = filter_line(cava, lines[i]);

		if (found) {
			break;
		}
	}
	TALLOC_FREE(frame);
}

/* --- facts --- */

/*
 * "" when the file has no name any more: then no rule holds for it. Nor for
 * one whose other name has gone, whose path the kernel shows with a word at
 * the end that would be another extension.
 */
static const char *filter_path(int fd)
{
	struct stat st;
	const char *path = NULL;
	const char *word = NULL;
	int ret = fstat(fd, &st);

	if (ret != 0 || st.st_nlink == 0) {
		return "";
	}
	path = cava_fd_path(talloc_tos(), fd);
	word = strrchr(path, ' ');
	return word != NULL && strcmp(word, FILTER_DELETED) == 0 ? "" : path;
}

void cava_filter_facts(struct cava *cava, int fd, struct filter_facts *facts)
{
	const struct connection_struct *conn = cava->handle->conn;
	const struct auth_session_info *info = conn->session_info;
	bool rules = filter_has_rules(&cava->filter);

	if (!rules || facts->state == VERDICT_STATE_CLEAN) {
		return;
	}
	facts->case_sensitive = conn->case_sensitive;
	facts->path = filter_path(fd);
	facts->root = cava->root;
	facts->host = cava->client_addr;
	if (info != NULL && info->info != NULL) {
		facts->domain = info->info->domain_name;
		facts->account = info->info->account_name;
		facts->local = strequal(facts->domain, get_global_sam_name());
	}
}

/* --- what it lets through --- */

static void filter_count_due(struct tevent_context *ev,
			     struct tevent_timer *te, struct timeval now,
			     void *private_data)
{
	struct cava *cava = talloc_get_type_abort(private_data, struct cava);

	TALLOC_FREE(cava->count_timer);
	cava_count_send(cava);
}

void cava_count_send(struct cava *cava)
{
	static const struct proto_count none;
	bool sent = false;

	if (cava->client == NULL ||
	    memcmp(&cava->count, &none, sizeof(none)) == 0) {
		return;
	}
	cava->count.user = cava_user(cava);
	cava->count.client = cava->client_addr;
	sent = client_count(cava->client, &cava->count);
	cava->count.user = NULL;
	cava->count.client = NULL;
	if (sent) {
		cava->count = none;
	}
}

void cava_count(struct cava *cava, int fd, enum verdict_reason reason)
{
	switch (reason) {
#define S(NAME, name) \
	case VERDICT_REASON_##NAME: \
		cava->count.name++; \
		break;
	FILTER_SKIPS(S)
#undef S
	default:
		return;
	}
	if (reason == VERDICT_REASON_EXEMPT) {
		DEBUG(DBGLVL_NOTICE, ("cava: %s is read unscanned by %s at "
				      "%s: %s\n",
				      cava_shown(cava_fd_path(talloc_tos(),
							      fd)),
				      cava_user(cava), cava->client_addr,
				      verdict_reason_text(reason)));
	}
	if (cava->count_timer == NULL) {
		cava->count_timer = tevent_add_timer(
			cava->handle->conn->sconn->ev_ctx, cava,
			timeval_current_ofs(CAVA_COUNT_PAUSE, 0),
			filter_count_due, cava);
	}
}

/* The mark: see above. The store may not take it; then there is none. */
int cava_mark(int fd, enum verdict_reason reason)
{
	struct verdict mark = { .result = VERDICT_SKIPPED, .reason = reason };
	uint8_t rec[VERDICT_RECORD_MAX];
	size_t len = verdict_encode(&mark, rec, sizeof(rec));
	int ret = 0;

	become_root();
	ret = fsetxattr(fd, VERDICT_XATTR, rec, len, 0) == 0 ? 0 : errno;
	unbecome_root();
	return ret;
}

/* As root. Not over "infected", which is a mark of its own. */
static int mark_lost(const struct proto_notice *notice)
{
	struct verdict v;
	struct ident now;
	int fd = open(notice->path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW |
				    O_NOATIME | O_CLOEXEC);
	int ret = 0;

	if (fd == -1) {
		return errno;
	}
	ret = ident_of_fd(fd, &now);
	if (ret == 0 && !ident_equal(&now, &notice->ident)) {
		ret = ENOENT;
	}
	if (ret == 0) {
		ret = verdict_read(fd, &v);
		if (ret != 0 || v.result != VERDICT_INFECTED) {
			ret = cava_mark(fd, VERDICT_REASON_NO_CAVAD);
		}
	}
	close(fd);
	return ret;
}

int cava_mark_lost(const uint8_t *msg, size_t len)
{
	struct proto_message m;
	int ret = proto_decode(msg, len, &m);

	if (ret != 0 || m.number != PROTO_NOTICE) {
		return EBADMSG;
	}
	become_root();
	ret = mark_lost(&m.u.notice);
	unbecome_root();
	return ret;
}
