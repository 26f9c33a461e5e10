/*
 * Files of storage systems, over SMB. See smb.h.
 *
 * libsmbclient does it. Rules:
 *
 * 1. It reads no configuration but ours, or else it would take
 *    ~/.smb/smb.conf or /etc/samba/smb.conf: HOME points to a directory of
 *    ours. It reads that again for each new context, so the directory stays
 *    as long as the program. What it keeps goes there as well, and what a
 *    name resolves to is asked each time.
 * 2. Signed, SMB 2 or later, NTLMv2 or Kerberos and never the one for the
 *    other; no anonymous login when ours is refused.
 * 3. Credentials are given only to the host that the job is for. Each
 *    storage has a context of its own, and KRB5CCNAME is set to the tickets
 *    of that storage before anything can connect.
 * 4. Its sessions stay and are used again; after an error that says a
 *    session is gone, a new context is safer than the old one. The functions
 *    that keep the library's list of connections are wrapped, to count them
 *    and to tell a share that was not reached from a file that was not.
 * 5. The library makes a tevent context for each request: one of poll(),
 *    which unlike epoll costs no system call to make, fill and end.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libsmbclient.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <tevent.h>
#include <time.h>
#include <unistd.h>

#include "cee_agent/smb.h"
#include "cee_agent/ticket.h"
#include "cee_agent/unc.h"

#define SMB_TICKET_LEFT 300	/* s a ticket must be good for */
#define SMB_WHY_MAX 200

/* The sessions with one storage: login and encryption are of a context. */
struct smb_peer {
	const struct storage *storage;	/* NULL = the list ends here */
	SMBCCTX *context;		/* NULL = nothing is connected */
	time_t ticket_until;
};

struct smb {
	struct smb_peer peers[AGENT_STORAGES_MAX];
	struct smb_peer *peer;	/* of the last open */
	SMBCFILE *file;
	const char *host;	/* of the open in progress */
	unsigned int slot;
	uint64_t sessions;
	bool connected;
	bool reused;		/* the last open made no session */
	char why[SMB_WHY_MAX];
	smbc_add_cached_srv_fn add_server;	/* the library's own */
	smbc_get_cached_srv_fn get_server;
	smbc_remove_cached_srv_fn remove_server;
};

/* Where the library reads smb_configuration; gone with the program. */
struct smb_home {
	pid_t owner;
	char *home;
	char *dir;
	char *file;
};

/* Its argument: where the library may leave something. */
static const char smb_configuration[] =
	"[global]\n"
	"client min protocol = SMB2\n"
	"client max protocol = SMB3\n"
	"client signing = required\n"
	"client use kerberos = off\n"
	"client ntlmv2 auth = yes\n"
	"client lanman auth = no\n"
	"name resolve order = host\n"
	"name cache timeout = 0\n"
	"disable netbios = yes\n"
	"log level = 0\n"
	"cache directory = %1$s\n"
	"lock directory = %1$s\n"
	"state directory = %1$s\n"
	"private dir = %1$s\n";

/* Called for each server that libsmbclient wants to log in at. */
static void smb_auth(SMBCCTX *context, const char *server, const char *share,
		     char *domain, int domain_size, char *user, int user_size,
		     char *password, int password_size)
{
	const struct smb *smb = smbc_getOptionUserData(context);
	const struct storage *s = smb->peer->storage;

	(void)share;
	if (smb->host == NULL || strcasecmp(server, smb->host) != 0) {
		snprintf(user, user_size, "%s", "");
		snprintf(password, password_size, "%s", "");
		return;
	}
	if (s->domain[0] != '\0') {
		snprintf(domain, domain_size, "%s", s->domain);
	}
	snprintf(user, user_size, "%s", s->user);
	snprintf(password, password_size, "%s",
		 s->login == LOGIN_NTLM ? s->password : "");
}

static int smb_add_server(SMBCCTX *context, SMBCSRV *srv, const char *server,
			  const char *share, const char *workgroup,
			  const char *username)
{
	struct smb *smb = smbc_getOptionUserData(context);

	smb->sessions++;
	smb->connected = true;
	return smb->add_server(context, srv, server, share, workgroup,
			       username);
}

static SMBCSRV *smb_get_server(SMBCCTX *context, const char *server,
			       const char *share, const char *workgroup,
			       const char *username)
{
	struct smb *smb = smbc_getOptionUserData(context);
	SMBCSRV *srv = smb->get_server(context, server, share, workgroup,
				       username);

	smb->connected |= srv != NULL;
	return srv;
}

static int smb_remove_server(SMBCCTX *context, SMBCSRV *srv)
{
	struct smb *smb = smbc_getOptionUserData(context);

	smb->connected = false;
	return smb->remove_server(context, srv);
}

static int smb_write_configuration(const char *path, const char *home)
{
	FILE *file = NULL;
	int ret;

	file = fopen(path, "wxe");
	if (file == NULL) {
		return errno;
	}
	ret = fprintf(file, smb_configuration, home) < 0 ? EIO : 0;
	if (fclose(file) != 0 && ret == 0) {
		ret = errno;
	}
	return ret;
}

static smbc_smb_encrypt_level smb_encryption(const struct storage *s)
{
	switch ((enum storage_encryption)s->encryption) {
	case ENCRYPTION_IF_OFFERED:
		return SMBC_ENCRYPTLEVEL_REQUEST;
	case ENCRYPTION_IF_REQUIRED:
		return SMBC_ENCRYPTLEVEL_DEFAULT;
	case ENCRYPTION_REQUIRED:
		break;
	}
	return SMBC_ENCRYPTLEVEL_REQUIRE;
}

/* A context that has not been connected to anything. 0 or errno. */
static int smb_context(struct smb *smb, struct smb_peer *peer)
{
	const struct storage *s = peer->storage;
	SMBCCTX *context = smbc_new_context();

	if (context == NULL) {
		return errno == 0 ? ENOMEM : errno;
	}
	smbc_setDebug(context, 0);
	smbc_setOptionUserData(context, smb);
	smbc_setFunctionAuthDataWithContext(context, smb_auth);
	smbc_setOptionNoAutoAnonymousLogin(context, 1);
	smbc_setOptionOpenShareMode(context, SMBC_SHAREMODE_DENY_NONE);
	smbc_setOptionSmbEncryptionLevel(context, smb_encryption(s));
	smbc_setOptionUseKerberos(context, s->login == LOGIN_KERBEROS);
	smbc_setOptionFallbackAfterKerberos(context, 0);
	smbc_setOptionUseCCache(context, s->login == LOGIN_KERBEROS);
	if (smbc_init_context(context) == NULL) {
		smbc_free_context(context, 1);
		return errno == 0 ? EINVAL : errno;
	}
	smb->add_server = smbc_getFunctionAddCachedServer(context);
	smb->get_server = smbc_getFunctionGetCachedServer(context);
	smb->remove_server = smbc_getFunctionRemoveCachedServer(context);
	smbc_setFunctionAddCachedServer(context, smb_add_server);
	smbc_setFunctionGetCachedServer(context, smb_get_server);
	smbc_setFunctionRemoveCachedServer(context, smb_remove_server);
	peer->context = context;
	return 0;
}

static void smb_drop(struct smb *smb, struct smb_peer *peer)
{
	if (peer == smb->peer) {
		smb_close(smb);
	}
	if (peer->context != NULL) {
		smbc_free_context(peer->context, 1);
		peer->context = NULL;
	}
}

/* The library finds tickets by its environment. 0 or errno. */
static int smb_ticket(struct smb *smb, struct smb_peer *peer)
{
	const struct storage *s = peer->storage;
	char ccache[SMB_WHY_MAX];
	int ret;

	if (s->login != LOGIN_KERBEROS) {
		return unsetenv("KRB5CCNAME") == -1 ? errno : 0;
	}
	if (s->ccache != NULL) {
		ret = setenv("KRB5CCNAME", s->ccache, 1);
		return ret == -1 ? errno : 0;
	}
	snprintf(ccache, sizeof(ccache), "FILE:%s/ticket.%u.%zu",
		 getenv("HOME"), smb->slot, (size_t)(peer - smb->peers));
	if (peer->ticket_until < time(NULL) + SMB_TICKET_LEFT) {
		ret = ticket_get(s, ccache, &peer->ticket_until, smb->why,
				 sizeof(smb->why));
		if (ret != 0) {
			return ret;
		}
	}
	ret = setenv("KRB5CCNAME", ccache, 1);
	return ret == -1 ? errno : 0;
}

/* Tickets, which a worker that is killed leaves, and a cache. */
static void smb_home_clear(const char *home)
{
	DIR *dir = opendir(home);
	const struct dirent *entry = NULL;

	if (dir == NULL) {
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
}

static int smb_home_remove(struct smb_home *h)
{
	if (getpid() != h->owner) {
		return 0;	/* a worker's copy */
	}
	unlink(h->file);
	rmdir(h->dir);
	smb_home_clear(h->home);
	rmdir(h->home);
	return 0;
}

int smb_start(TALLOC_CTX *mem_ctx)
{
	const char *below = getenv("RUNTIME_DIRECTORY");
	struct smb_home *h = NULL;
	int ret;

	h = talloc_zero(mem_ctx, struct smb_home);
	if (h == NULL) {
		return ENOMEM;
	}
	h->owner = getpid();
	h->home = talloc_asprintf(h, "%s/cee_agent.XXXXXX",
				  below == NULL ? "/tmp" : below);
	if (h->home == NULL) {
		return ENOMEM;
	}
	if (mkdtemp(h->home) == NULL) {
		return errno;
	}
	h->dir = talloc_asprintf(h, "%s/.smb", h->home);
	h->file = talloc_asprintf(h, "%s/.smb/smb.conf", h->home);
	if (h->dir == NULL || h->file == NULL) {
		rmdir(h->home);
		return ENOMEM;
	}
	talloc_set_destructor(h, smb_home_remove);
	ret = mkdir(h->dir, 0700) == -1 ? errno :
	      smb_write_configuration(h->file, h->home);
	if (ret != 0) {
		return ret;
	}
	return setenv("HOME", h->home, 1) == -1 ? errno : 0;
}

static int smb_destroy(struct smb *smb)
{
	size_t i;

	for (i = 0; i < AGENT_STORAGES_MAX; i++) {
		smb_drop(smb, &smb->peers[i]);
	}
	return 0;
}

struct smb *smb_create(TALLOC_CTX *mem_ctx, unsigned int slot)
{
	struct smb *smb = talloc_zero(mem_ctx, struct smb);

	if (smb != NULL) {
		smb->slot = slot;
		tevent_set_default_backend("poll");
		talloc_set_destructor(smb, smb_destroy);
	}
	return smb;
}

/* A configuration has no more storages than there are peers. */
static struct smb_peer *smb_find(struct smb *smb,
				 const struct storage *storage)
{
	size_t i = 0;

	while (smb->peers[i].storage != NULL &&
	       smb->peers[i].storage != storage) {
		i++;
	}
	smb->peers[i].storage = storage;
	return &smb->peers[i];
}

void smb_reset(struct smb *smb, const struct storage *storage)
{
	struct smb_peer *peer = smb_find(smb, storage);

	smb_drop(smb, peer);
	peer->ticket_until = 0;
}

/*
 * Asked for encryption that the server does not have, the library goes on
 * without; and this is its only interface that tells.
 */
static bool smb_is_encrypted(struct smb *smb)
{
	static char option[] = "smb_encrypt_on";

	return smbc_option_get(smb->peer->context, option) != NULL;
}

/* 0, or EACCES for a session that is not as it has to be. */
static int smb_check_session(struct smb *smb)
{
	if (smb->peer->storage->encryption != ENCRYPTION_REQUIRED ||
	    smb_is_encrypted(smb)) {
		return 0;
	}
	smb->connected = false;
	snprintf(smb->why, sizeof(smb->why), "it does not encrypt");
	return EACCES;
}

/* 0, or EISDIR: the library opens directories as well, but cannot seek. */
static int smb_rewind(struct smb *smb)
{
	SMBCCTX *context = smb->peer->context;
	smbc_lseek_fn lseek_fn = smbc_getFunctionLseek(context);

	return lseek_fn(context, smb->file, 0, SEEK_SET) == -1 ? EISDIR : 0;
}

static int smb_open_url(struct smb *smb, const char *url)
{
	SMBCCTX *context = smb->peer->context;
	smbc_open_fn open_fn = smbc_getFunctionOpen(context);
	int ret;

	errno = 0;
	smb->file = open_fn(context, url, O_RDONLY, 0);
	if (smb->file == NULL) {
		return errno == 0 ? EIO : errno;
	}
	ret = smb_check_session(smb);
	if (ret == 0) {
		ret = smb_rewind(smb);
	}
	if (ret != 0) {
		smb_close(smb);
	}
	return ret;
}

int smb_open(struct smb *smb, const struct storage *storage,
	     const char *host, const char *path, uint32_t timeout)
{
	uint64_t sessions = smb->sessions;
	char *url = NULL;
	int ret;

	smb->peer = smb_find(smb, storage);
	smb->connected = false;
	smb->why[0] = '\0';
	ret = smb_ticket(smb, smb->peer);
	if (ret == 0 && smb->peer->context == NULL) {
		ret = smb_context(smb, smb->peer);
	}
	if (ret != 0) {
		return ret;
	}
	url = unc_url(smb, host, (unsigned int)storage->port, storage->share,
		      path);
	if (url == NULL) {
		return ENOMEM;
	}
	smb->host = host;
	smbc_setTimeout(smb->peer->context, (int)timeout);
	ret = smb_open_url(smb, url);
	smb->host = NULL;
	smb->reused = smb->connected && smb->sessions == sessions;
	talloc_free(url);
	return ret;
}

int smb_size(struct smb *smb, uint64_t *size)
{
	SMBCCTX *context = smb->peer->context;
	smbc_fstat_fn fstat_fn = smbc_getFunctionFstat(context);
	struct stat st;
	int ret;

	errno = 0;
	memset(&st, 0, sizeof(st));
	ret = fstat_fn(context, smb->file, &st);
	if (ret == -1) {
		return errno == 0 ? EIO : errno;
	}
	if (!S_ISREG(st.st_mode)) {
		return EISDIR;
	}
	*size = (uint64_t)st.st_size;
	return smb_rewind(smb);
}

ssize_t smb_read(struct smb *smb, void *data, size_t len)
{
	SMBCCTX *context = smb->peer->context;

	return smbc_getFunctionRead(context)(context, smb->file, data, len);
}

void smb_close(struct smb *smb)
{
	SMBCCTX *context = NULL;

	if (smb->file == NULL) {
		return;
	}
	context = smb->peer->context;
	smbc_getFunctionClose(context)(context, smb->file);
	smb->file = NULL;
}

bool smb_is_connected(const struct smb *smb)
{
	return smb->connected;
}

const char *smb_why(const struct smb *smb)
{
	return smb->why;
}

uint64_t smb_sessions(const struct smb *smb)
{
	return smb->sessions;
}

bool smb_session_gone(const struct smb *smb, int error)
{
	switch (error) {
	case ECONNRESET:
	case ECONNABORTED:
	case ECONNREFUSED:	/* a server that restarts */
	case ENETRESET:
	case ENOTCONN:
	case EPIPE:
	case ETIMEDOUT:
	case EBADF:		/* the handle went with its session */
		return true;
	case EINVAL:		/* its ticket has ended, or a bad name */
		return smb->reused;
	default:
		return false;
	}
}
