/*
 * Files of storage systems, over SMB. See smb.h.
 *
 * libsmbclient does it. Rules:
 *
 * 1. It reads no configuration but ours, or else it would take
 *    ~/.smb/smb.conf or /etc/samba/smb.conf: HOME points to a directory of
 *    ours. It reads that again for each new context, so the directory stays
 *    as long as the program. Its caches have nowhere to go.
 * 2. Signed, SMB 2 or later, NTLMv2, encrypted where the server asks for it;
 *    no anonymous login when ours is refused.
 * 3. Credentials are given only to the host that the job is for.
 * 4. Its sessions stay and are used again; after an error that says a
 *    session is gone, a new context is safer than the old one.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <libsmbclient.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cee_agent/smb.h"
#include "cee_agent/unc.h"

struct smb {
	SMBCCTX *context;
	SMBCFILE *file;
	const struct storage *storage;	/* of the open in progress */
};

/* Where the library reads smb_configuration; gone with the program. */
struct smb_home {
	pid_t owner;
	char *home;
	char *dir;
	char *file;
};

static const char smb_configuration[] =
	"[global]\n"
	"client min protocol = SMB2\n"
	"client max protocol = SMB3\n"
	"client signing = required\n"
	"client use kerberos = off\n"
	"client ntlmv2 auth = yes\n"
	"client lanman auth = no\n"
	"name resolve order = host\n"
	"disable netbios = yes\n"
	"log level = 0\n"
	"cache directory = /nonexistent\n"
	"lock directory = /nonexistent\n"
	"state directory = /nonexistent\n"
	"private dir = /nonexistent\n";

/* Called for each server that libsmbclient wants to log in at. */
static void smb_auth(SMBCCTX *context, const char *server, const char *share,
		     char *domain, int domain_size, char *user, int user_size,
		     char *password, int password_size)
{
	const struct smb *smb = smbc_getOptionUserData(context);
	const struct storage *s = smb->storage;

	(void)share;
	if (s == NULL || strcasecmp(server, s->host) != 0) {
		snprintf(user, user_size, "%s", "");
		snprintf(password, password_size, "%s", "");
		return;
	}
	if (s->domain[0] != '\0') {
		snprintf(domain, domain_size, "%s", s->domain);
	}
	snprintf(user, user_size, "%s", s->user);
	snprintf(password, password_size, "%s", s->password);
}

static int smb_write_configuration(const char *path)
{
	size_t len = sizeof(smb_configuration) - 1;
	ssize_t written;
	int fd;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1) {
		return errno;
	}
	written = write(fd, smb_configuration, len);
	close(fd);
	return written == (ssize_t)len ? 0 : EIO;
}

/* A context that has not been connected to anything. 0 or errno. */
static int smb_context(struct smb *smb)
{
	SMBCCTX *context = smbc_new_context();

	if (context == NULL) {
		return errno == 0 ? ENOMEM : errno;
	}
	smbc_setDebug(context, 0);
	smbc_setOptionUserData(context, smb);
	smbc_setFunctionAuthDataWithContext(context, smb_auth);
	smbc_setOptionNoAutoAnonymousLogin(context, 1);
	smbc_setOptionOpenShareMode(context, SMBC_SHAREMODE_DENY_NONE);
	if (smbc_init_context(context) == NULL) {
		smbc_free_context(context, 1);
		return errno == 0 ? EINVAL : errno;
	}
	smb->context = context;
	return 0;
}

static int smb_home_remove(struct smb_home *h)
{
	if (getpid() != h->owner) {
		return 0;	/* a worker's copy */
	}
	unlink(h->file);
	rmdir(h->dir);
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
	      smb_write_configuration(h->file);
	if (ret != 0) {
		return ret;
	}
	return setenv("HOME", h->home, 1) == -1 ? errno : 0;
}

static void smb_drop(struct smb *smb)
{
	smb_close(smb);
	if (smb->context != NULL) {
		smbc_free_context(smb->context, 1);
		smb->context = NULL;
	}
}

static int smb_destroy(struct smb *smb)
{
	smb_drop(smb);
	return 0;
}

int smb_create(TALLOC_CTX *mem_ctx, struct smb **result)
{
	struct smb *smb = NULL;
	int ret;

	smb = talloc_zero(mem_ctx, struct smb);
	if (smb == NULL) {
		return ENOMEM;
	}
	talloc_set_destructor(smb, smb_destroy);
	ret = smb_context(smb);
	if (ret != 0) {
		talloc_free(smb);
		return ret;
	}
	*result = smb;
	return 0;
}

int smb_reset(struct smb *smb)
{
	smb_drop(smb);
	return smb_context(smb);
}

static int smb_open_url(struct smb *smb, const char *url, uint64_t *size)
{
	smbc_open_fn open_fn = smbc_getFunctionOpen(smb->context);
	smbc_fstat_fn fstat_fn = smbc_getFunctionFstat(smb->context);
	struct stat st;
	int ret;

	errno = 0;
	smb->file = open_fn(smb->context, url, O_RDONLY, 0);
	if (smb->file == NULL) {
		return errno == 0 ? EIO : errno;
	}
	memset(&st, 0, sizeof(st));
	ret = fstat_fn(smb->context, smb->file, &st);
	if (ret == -1) {
		ret = errno == 0 ? EIO : errno;
	} else if (!S_ISREG(st.st_mode)) {
		ret = EISDIR;
	}
	if (ret != 0) {
		smb_close(smb);
		return ret;
	}
	*size = (uint64_t)st.st_size;
	return 0;
}

int smb_open(struct smb *smb, const struct storage *storage,
	     const char *path, uint32_t timeout, uint64_t *size)
{
	char *url = NULL;
	int ret;

	if (smb->context == NULL) {
		ret = smb_context(smb);
		if (ret != 0) {
			return ret;
		}
	}
	url = unc_url(smb, storage->host, (unsigned int)storage->port,
		      storage->share, path);
	if (url == NULL) {
		return ENOMEM;
	}
	smb->storage = storage;
	smbc_setTimeout(smb->context, (int)timeout);
	ret = smb_open_url(smb, url, size);
	smb->storage = NULL;
	talloc_free(url);
	return ret;
}

ssize_t smb_read(struct smb *smb, void *data, size_t len)
{
	smbc_read_fn read_fn = smbc_getFunctionRead(smb->context);

	return read_fn(smb->context, smb->file, data, len);
}

void smb_close(struct smb *smb)
{
	smbc_close_fn close_fn = NULL;

	if (smb->file == NULL) {
		return;
	}
	close_fn = smbc_getFunctionClose(smb->context);
	close_fn(smb->context, smb->file);
	smb->file = NULL;
}

bool smb_session_gone(int error)
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
	default:
		return false;
	}
}
