/*
 * A tree connect: its parameters, and its scan socket.
 *
 * Whatever is missing or misspelt is named in the log and never takes the
 * share away.
 *
 *   parameter           default
 *   cava:enabled        yes
 *   cava:role           client     or check: this is the share CHECK$
 *   cava:zone           System
 *   cava:socket         /run/cavad/ipc.sock
 *   cava:spool          /var/spool/cavad
 *   cava:filters        /var/lib/cavad/filters
 *   cava:profile        standard   or strict, writes_only, no_scan
 *   cava:open_on_fail   yes
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/vfs_cava.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "common/spool.h"

static const struct enum_list cava_profiles[] = {
	{ FILTER_STANDARD, "standard" },
	{ FILTER_STRICT, "strict" },
	{ FILTER_WRITES_ONLY, "writes_only" },
	{ FILTER_NO_SCAN, "no_scan" },
	{ -1, NULL }
};

enum cava_role { CAVA_ROLE_CLIENT, CAVA_ROLE_CHECK };

static const struct enum_list cava_roles[] = {
	{ CAVA_ROLE_CLIENT, "client" },
	{ CAVA_ROLE_CHECK, "check" },
	{ -1, NULL }
};

static int cava_socket_connect(void *private_data)
{
	struct cava *cava = talloc_get_type_abort(private_data, struct cava);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int saved_errno = 0;
	int fd = -1;
	int ret = -1;

	if (strlen(cava->socket) >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strlcpy(addr.sun_path, cava->socket, sizeof(addr.sun_path));

	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1) {
		return -1;
	}

	/* cavad talks to root only, and this may run as anybody */
	become_root();
	ret = connect(fd, (struct sockaddr *)&addr, sizeof(addr));
	saved_errno = errno;
	unbecome_root();

	if (ret == -1) {
		close(fd);
		errno = saved_errno;
		return -1;
	}
	return fd;
}

static int cava_spool(void *private_data, const uint8_t *msg, size_t len)
{
	struct cava *cava = talloc_get_type_abort(private_data, struct cava);
	int ret = 0;
	int marked = 0;

	become_root();
	ret = spool_append(cava->spool, msg, len);
	unbecome_root();
	if (ret == 0) {
		cava->spool_error = 0;
		return 0;
	}
	marked = cava_mark_lost(msg, len);
	if (cava->spool_error != ret) {
		DBG_ERR("cava: notices cannot be kept in %s: %s; %s\n",
			cava->spool, strerror(ret), marked == 0 ?
			"files are marked, and scanned when they are read" :
			"they are scanned when they are read in profile "
			"strict, or by a job");
	}
	cava->spool_error = ret;
	return marked;
}

static void cava_config(void *private_data, const struct filter *filter)
{
	struct cava *cava = talloc_get_type_abort(private_data, struct cava);

	cava_filter_set(cava, filter);
}

static void cava_state(void *private_data, bool up, int error)
{
	struct cava *cava = talloc_get_type_abort(private_data, struct cava);

	cava_announce(cava, up);
	if (up) {
		DBG_NOTICE("cava: connected to cavad at %s\n", cava->socket);
		return;
	}
	DBG_ERR("cava: cavad does not answer at %s: %s; open_on_fail = %s "
		"decides on files without a verdict\n", cava->socket,
		error == 0 ? "connection closed" : strerror(error),
		cava->filter.open_on_fail ? "yes" : "no");
}

static const struct client_ops cava_client_ops = {
	.connect = cava_socket_connect,
	.spool = cava_spool,
	.config = cava_config,
	.state = cava_state,
};

static void cava_addresses(struct cava *cava)
{
	struct smbd_server_connection *sconn = cava->handle->conn->sconn;

	cava->client_addr = "";
	cava->server_addr = "";
	if (sconn->remote_address != NULL) {
		cava->client_addr = tsocket_address_inet_addr_string(
			sconn->remote_address, cava);
	}
	if (sconn->local_address != NULL) {
		cava->server_addr = tsocket_address_inet_addr_string(
			sconn->local_address, cava);
	}
	if (cava->client_addr == NULL || cava->server_addr == NULL) {
		cava->client_addr = "";
		cava->server_addr = "";
	}
}

/* A copy: smbd frees its own when smb.conf is read again. */
static const char *cava_parameter(struct cava *cava, const char *name,
				  const char *otherwise)
{
	const char *value = lp_parm_const_string(SNUM(cava->handle->conn),
						 "cava", name, otherwise);

	return talloc_strdup(cava, value);
}

static const struct enum_list cava_bools[] = {
	{ true, "yes" }, { true, "true" }, { true, "on" }, { true, "1" },
	{ false, "no" }, { false, "false" }, { false, "off" }, { false, "0" },
	{ -1, NULL }
};

/* What is misspelt is said, and is as if it were not there. */
static int cava_choice(struct cava *cava, const char *name,
		       const struct enum_list *list, int otherwise)
{
	const char *value = lp_parm_const_string(SNUM(cava->handle->conn),
						 "cava", name, NULL);
	const struct enum_list *e = NULL;
	char *accepted = talloc_strdup(talloc_tos(), "");
	const char *taken = "";

	for (e = list; value != NULL && e->name != NULL; e++) {
		if (strwicmp(value, e->name) == 0) {
			TALLOC_FREE(accepted);
			return e->value;
		}
		talloc_asprintf_addbuf(&accepted, "%s%s",
				       e == list ? "" : ", ", e->name);
		if (e->value == otherwise && taken[0] == '\0') {
			taken = e->name;
		}
	}
	if (value != NULL) {
		DBG_ERR("cava: share %s: cava:%s = %s is not one of %s; %s "
			"is in force\n", lp_const_servicename(
				SNUM(cava->handle->conn)),
			name, value, accepted == NULL ? "" : accepted, taken);
	}
	TALLOC_FREE(accepted);
	return otherwise;
}

static const char *cava_root(struct cava *cava)
{
	const char *connectpath = cava->handle->conn->connectpath;
	char path[PATH_MAX];
	const char *known = realpath(connectpath, path);

	return talloc_strdup(cava, known == NULL ? connectpath : known);
}

/* 0 or ENOMEM. */
static int cava_parameters(struct cava *cava)
{
	const char *filters = NULL;

	cava->enabled = cava_choice(cava, "enabled", cava_bools, true);
	cava->check = cava_choice(cava, "role", cava_roles,
				  CAVA_ROLE_CLIENT) == CAVA_ROLE_CHECK;
	cava->zone = cava_parameter(cava, "zone", "System");
	cava->socket = cava_parameter(cava, "socket", "/run/cavad/ipc.sock");
	cava->spool = cava_parameter(cava, "spool", "/var/spool/cavad");
	filters = cava_parameter(cava, "filters", "/var/lib/cavad/filters");
	cava->root = cava_root(cava);
	if (cava->zone == NULL || cava->socket == NULL ||
	    cava->spool == NULL || filters == NULL || cava->root == NULL) {
		return ENOMEM;
	}
	cava->filter = FILTER_DEFAULT;
	cava->filter_number = 1;
	cava->filter.profile = cava_choice(cava, "profile", cava_profiles,
					   FILTER_STANDARD);
	cava->filter.open_on_fail = cava_choice(cava, "open_on_fail",
						cava_bools, true);
	cava_filter_load(cava, filters);
	return 0;
}

int cava_connect(struct vfs_handle_struct *handle, struct cava **result)
{
	struct connection_struct *conn = handle->conn;
	struct proto_hello hello = { .pid = getpid() };
	struct cava *cava = NULL;
	int ret = 0;

	cava = talloc_zero(conn, struct cava);
	if (cava == NULL) {
		return ENOMEM;
	}
	cava->handle = handle;
	ret = cava_parameters(cava);
	if (ret != 0) {
		TALLOC_FREE(cava);
		return ret;
	}
	cava_addresses(cava);
	cava->renames = cava_store_renames(handle->conn);
	cava->worm = COMPAT_CTIME && cava_store_beside(handle->conn, "worm");

	/* CHECK$ is never open to all, whatever cava:enabled says. */
	if (!cava->enabled && !cava->check) {
		*result = cava;
		return 0;
	}
	if (!cava->check) {
		cava_store_probe(cava);
	}

	/*
	 * sendfile() gives data to the client before anybody can look again
	 * whether it is still what was scanned.
	 */
	set_use_sendfile(SNUM(conn), false);

	hello.role = cava->check;
	hello.share = lp_const_servicename(SNUM(conn));
	hello.zone = cava->zone;
	hello.root = conn->connectpath;
	hello.client = cava->client_addr;

	cava->client = client_create(cava, conn->sconn->ev_ctx,
				     &cava_client_ops, cava, &hello);
	if (cava->client == NULL) {
		TALLOC_FREE(cava);
		return ENOMEM;
	}

	/*
	 * Internal connections (DFS, RPC services) have no client and run
	 * no event loop of their own: they connect when they ask.
	 */
	if (conn->sconn->client != NULL) {
		(void)client_connect(cava->client);
	}
	*result = cava;
	return 0;
}

const char *cava_user(struct cava *cava)
{
	const struct auth_session_info *info =
		cava->handle->conn->session_info;
	const char *name = NULL;

	if (info == NULL || info->info == NULL) {
		return "";
	}
	name = talloc_asprintf(talloc_tos(), "%s\\%s",
			       info->info->domain_name,
			       info->info->account_name);
	return name == NULL ? "" : name;
}

const char *cava_fd_path(TALLOC_CTX *mem_ctx, int fd)
{
	char link[32];
	char path[PATH_MAX];
	const char *copy = NULL;
	ssize_t len = -1;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len <= 0 || path[0] != '/') {
		return "";
	}
	path[len] = '\0';
	copy = talloc_strdup(mem_ctx, path);
	return copy == NULL ? "" : copy;
}

const char *cava_shown(const char *text)
{
	char *shown = talloc_strdup(talloc_tos(), text);
	char *p = NULL;

	for (p = shown; p != NULL && *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f) {
			*p = '?';
		}
	}
	return shown == NULL ? "" : shown;
}
