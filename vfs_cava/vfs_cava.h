/*
 * vfs_cava: what its files share.
 *
 *   vfs_cava.c  the table of hooks; connect, open, close
 *   read.c      hooks that expose content
 *   write.c     hooks that change or replace it
 *   params.c    one tree connect: parameters, the scan socket
 *   store.c     where verdicts are kept; stacks that do not work
 *   filter.c    the filter in force, and what it lets through
 *   gate.c      may content be read? the decision, and waiting in a read
 *   park.c      waiting in an open
 *   notice.c    content was or will be changed: tell cavad
 *   stream.c    named streams; stream_write.c
 *   meta.c      metadata changes and the verdict stays
 *   durable.c   handles that outlive a connection
 *   worm.c      vfs_worm, for which a scan is no change
 *   check.c     role check: the share CHECK$; check_stream.c, check_alias.c
 *   clean.c     role check: a scanner repairs a file
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef VFS_CAVA_H
#define VFS_CAVA_H

#include "vfs_cava/compat.h"

#include "common/client.h"
#include "common/filter.h"
#include "common/ident.h"
#include "common/stream.h"
#include "common/tiered.h"
#include "common/verdict.h"

#define CAVA_RESTAMPS 8
#define CAVA_CLEAN 512		/* contents of streams */

/* One tree connect; data of the VFS handle. */
struct cava {
	struct vfs_handle_struct *handle;
	bool enabled;		/* cava:enabled */
	bool check;		/* cava:role = check */
	const char *socket;
	const char *spool;
	int spool_error;	/* that has been said */
	const char *zone;
	const char *root;	/* of the share, as the kernel has it */
	struct filter filter;	/* in force; see filter.c */
	TALLOC_CTX *filter_lists;	/* what it borrows */
	uint32_t filter_number;	/* of the filter; 1 is the first */
	struct proto_count count;	/* not yet sent */
	struct tevent_timer *count_timer;
	struct client *client;	/* NULL when not enabled */
	bool renames;		/* smbd's names are not the kernel's; store.c */
	bool worm;		/* vfs_worm looks at ctime; worm.c */
	bool database;		/* no attribute can be set here; store.c */
	struct cava_mount {
		uint64_t mount;
		uint64_t device;
		time_t until;	/* monotonic */
		bool readonly;
	} mount;		/* of the last file; store.c */
	const char *client_addr;
	const char *server_addr;
	struct cava_create *create;	/* innermost one running */
	struct cava_park *parks;	/* opens that wait for a verdict */
	struct cava_file *written;	/* handles that changed content */
	struct cava_repair *repairs;	/* check: clean.c */
	time_t still;		/* check: when it was asked last, and */
	bool revoked;		/* that the answer was no */
	unsigned int meta_depth;	/* metadata operations in each other */
	struct cava_restamp {
		struct ident ident;
		struct content after;
	} restamps[CAVA_RESTAMPS];	/* the last ones; meta.c */
	unsigned int restamp;		/* the next one to be used */
	bool durable;		/* smbd takes a picture; durable.c */
	uint32_t generation;	/* counts connections made and lost */
	struct cava_stream *stream;	/* innermost operation on one */
	struct content clean[CAVA_CLEAN];	/* of streams */
	uint32_t clean_number;	/* the filter_number they were clean by */
	struct tevent_immediate *announce;
};

/* What a look at a file has shown. */
struct cava_seen {
	int fd;			/* -1: nothing */
	struct content content;
	bool stub;		/* less than half of it is here; tiered.h */
	bool database;		/* the verdict is with cavad */
	int error;		/* of the record: 0 or errno */
	struct verdict record;
};

/* A create_file call in progress: lives on its stack. */
struct cava_create {
	struct cava_create *outer;
	struct smb_request *req;	/* NULL: smbd opens for itself */
	uint32_t disposition;
	uint32_t share_access;
	bool infected;		/* an openat in it was denied for that */
	struct cava_seen seen;	/* by ahead.c, for the gate of the open */
	int told_fd;		/* O_PATH, of what cavad was told; or -1 */
	struct ident told;
	bool change;		/* check: a repair is allowed */
	bool common;		/* check: with clients' share modes */
};

/* What an open handle needs; an fsp extension, made when first needed. */
struct cava_file {
	uint32_t cleared;	/* the filter_number by which content equal
				 * to .content may be read, or 0 */
	bool made;		/* there was no such file before its open */
	bool own;		/* .content was made by this handle alone */
	bool alone;		/* its share mode keeps other writers out */
	unsigned int writing;	/* our own writes that are under way */
	bool modified;		/* by this handle: in cava->written */
	bool announced;		/* WILL_WRITE was sent: CLOSE must follow */
	bool keyed;		/* may be copied from: read.c */
	uint32_t told;		/* generation that knows of WILL_WRITE */
	struct cava *cava;
	struct files_struct *fsp;
	struct cava_file *prev, *next;	/* of cava->written */
	struct content content;
	struct cava_wait *waits;	/* gates waiting on this handle */
	struct cava_written *stream;	/* an attribute that it wrote */
	char *listing;		/* check: names of a directory to be listed */
	struct cava_repair *repair;	/* check: clean.c */
	struct ident ident;	/* once it was asked or told about */
	bool identified;
	struct ident fetch;	/* check: what a scanner reads, and how
				 * much of it */
	bool fetches;
	uint64_t fetched;
};

/* NULL before the tree connect is complete. */
struct cava *cava_of(struct vfs_handle_struct *handle);

/* Is there work for the hooks of a client's share? Of CHECK$? */
bool cava_on(const struct cava *cava);
bool cava_is_check(const struct cava *cava);

struct cava_file *cava_file_fetch(struct cava *cava,
				  struct files_struct *fsp);
/* Made if there is none; NULL = no memory. */
struct cava_file *cava_file_make(struct cava *cava, struct files_struct *fsp);

/* Regular content behind a kernel descriptor? */
bool cava_is_content(const struct files_struct *fsp);

/* The descriptor by which the content is known; of a handle with content. */
int cava_fd(const struct files_struct *fsp);

/* Which file it is, of a handle or (file is NULL) of fd. 0 or errno. */
int cava_ident(struct cava_file *file, int fd, struct ident *ident);

/* --- params.c --- */

/* Called as root from the connect hook; 0 or errno. */
int cava_connect(struct vfs_handle_struct *handle, struct cava **result);

/* DOMAIN\name of the session at work; on talloc_tos(). */
const char *cava_user(struct cava *cava);

/* For a line of the log: control characters become '?'; on talloc_tos(). */
const char *cava_shown(const char *text);

/*
 * Where the descriptor's file is, absolute, as the kernel has it; on
 * mem_ctx; "" when /proc does not tell.
 */
const char *cava_fd_path(TALLOC_CTX *mem_ctx, int fd);

/* --- store.c --- */

/* Can this module do its work in that stack? Says why not. */
bool cava_store_fits(struct connection_struct *conn);

/* Takes its place before streams_xattr. false: why not was said. */
bool cava_store_place(struct vfs_handle_struct *handle);

/* Is the module in vfs objects? */
bool cava_store_beside(struct connection_struct *conn, const char *module);

/* Are smbd's names of files others than the kernel's? */
bool cava_store_renames(struct connection_struct *conn);

/* The tree connect never came here: says so. */
void cava_store_unconnected(struct connection_struct *conn);

/* Which store the share uses; logged. Called as root. */
void cava_store_probe(struct cava *cava);

/*
 * Looks at the file: 0 or errno. `fd` may be O_PATH. Is its verdict with cavad
 * alone? What that depends on and belongs to the mount may be a second old.
 */
int cava_store_look(struct cava *cava, int fd, struct cava_seen *seen);

/* --- filter.c --- */

/* Takes a copy. */
void cava_filter_set(struct cava *cava, const struct filter *filter);

/* From the file that cavad keeps; nothing changes if it does not tell. */
void cava_filter_load(struct cava *cava, const char *path);

/*
 * Adds what rules look at: where the file behind fd is, who we are. Strings
 * are on talloc_tos(). facts->state must be there.
 */
void cava_filter_facts(struct cava *cava, int fd, struct filter_facts *facts);

/* A file passes unscanned; counted if `reason` is one of FILTER_SKIPS. */
void cava_count(struct cava *cava, int fd, enum verdict_reason reason);

/* Tells cavad the counts, if there are any. */
void cava_count_send(struct cava *cava);

/* Its next reader waits for a scan, in any profile that scans. 0 or errno. */
int cava_mark(int fd, enum verdict_reason reason);

/* The same for the file of a notice that is lost. 0 or errno. */
int cava_mark_lost(const uint8_t *msg, size_t len);

/* --- ahead.c --- */

/* Tells cavad of what is about to be opened to be read. */
void cava_ahead(struct cava *cava, const struct smb_filename *name,
		uint32_t access_mask, struct cava_create *create);

/* --- park.c --- */

/* Does an open of this request wait? */
bool cava_is_parked(const struct cava *cava, const struct smb_request *req);

/* What a data open has found out about its file. */
struct cava_opened {
	bool made;		/* there was no such file */
	const struct ident *ident;	/* or NULL: is not known yet */
	bool cleared;		/* .content may be read through the handle */
	struct content content;
};

/*
 * Before a data open of the file behind the O_PATH descriptor fd. 0: go on;
 * else an errno: EACCES, or EAGAIN when the open is parked.
 */
int cava_gate_open(struct cava *cava, struct files_struct *fsp, int fd,
		   struct cava_opened *opened);

/* As it, for a stream of the file behind fd, by what was seen of it. */
struct cava_stream;
int cava_gate_open_stream(struct cava *cava, struct files_struct *fsp, int fd,
			  const struct cava_stream *seen);

/*
 * The open met a lease, as a file has it while it is scanned: wake this
 * request in 25 ms. false: smbd cannot park it (a durable reconnect, an
 * open of its own).
 */
bool cava_gate_lease(struct cava *cava, struct files_struct *fsp);

/* The tree connect ends; what is parked may live a little longer. */
void cava_park_forget(struct cava *cava);

/* --- read.c --- */

/*
 * smbd is about to look at the handle, maybe to copy from it. 0, or EACCES
 * after at most filter.sync_wait.
 */
int cava_copy_looks(struct cava *cava, struct files_struct *fsp);

/* --- gate.c --- */

/* A synchronous read: 0, or EACCES after at most filter.sync_wait. */
int cava_gate_sync(struct cava *cava, struct files_struct *fsp);

/* true: the handle has passed the gate, and the file may have changed since. */
bool cava_gate_passed(struct cava *cava, struct files_struct *fsp);

/* true: and it has not. */
bool cava_gate_fast(struct cava *cava, struct files_struct *fsp);

/* An asynchronous read or copy: 0 or EACCES. */
struct tevent_req *cava_gate_send(TALLOC_CTX *mem_ctx,
				  struct tevent_context *ev,
				  struct cava *cava, struct files_struct *fsp,
				  enum proto_why why);
int cava_gate_recv(struct tevent_req *req);

/* It has changed at each look: may what was read be handed out? */
bool cava_gate_restless(struct cava *cava, struct files_struct *fsp);

/* The handle is going away: what waits on it is told. */
void cava_gate_forget(struct cava_file *file);

/* --- notice.c --- */

/* Before and after content is changed through fsp. */
void cava_will_write(struct cava *cava, struct files_struct *fsp);
void cava_written(struct cava *cava, struct files_struct *fsp);

/* An asynchronous write begins (1) or ends (-1). */
void cava_writing(struct cava *cava, struct files_struct *fsp, int change);

/* The connection to cavad was made or lost: who writes is to be said anew. */
void cava_announce(struct cava *cava, bool up);

/*
 * The handle has just made the file, or emptied it. share_access: of its
 * open, FILE_SHARE_WRITE when not known.
 */
void cava_emptied(struct cava *cava, struct files_struct *fsp,
		  uint32_t share_access);

/*
 * Around a close: what to say is gathered while there is a descriptor and
 * said when it is closed. NULL = nothing to say.
 */
struct proto_notice *cava_closing(struct cava *cava,
				  struct files_struct *fsp);
void cava_closed(struct cava *cava, struct proto_notice *notice);

/*
 * A scanner changes content through fsp; told whatever the filter says.
 * True: it is the first change through that handle.
 */
bool cava_repairs(struct cava *cava, struct files_struct *fsp);

/* The file behind fd was renamed, and is to be scanned. */
void cava_tell_renamed(struct cava *cava, int fd);

/* The name `atname` in dirfsp is where a file was just renamed to. */
void cava_renamed(struct cava *cava, struct files_struct *dirfsp,
		  const struct smb_filename *atname);

/* --- stream.c --- */

/* Is the stream a file of its own? Of any handle of it, O_PATH too. */
bool cava_stream_is_file(const struct files_struct *fsp);

/* Of that file, or of the one that carries it (fruit); else -1. */
int cava_stream_fd(const struct files_struct *fsp);

/* A stream that is neither, opened for content? */
bool cava_stream_is(const struct files_struct *fsp);

/* A file was opened, maybe as the carrier of a stream that is. */
void cava_stream_carried(struct cava *cava, const struct files_struct *fsp,
			 int fd);

/* The handle goes away. */
void cava_stream_forget(struct cava_file *file);

/* The hooks, of such a stream. */
int cava_stream_openat(struct vfs_handle_struct *handle,
		       const struct files_struct *dirfsp,
		       const struct smb_filename *smb_fname,
		       struct files_struct *fsp,
		       const struct vfs_open_how *how);
ssize_t cava_stream_pread(struct vfs_handle_struct *handle,
			  struct files_struct *fsp, void *data, size_t n,
			  off_t offset);
ssize_t cava_stream_pwrite(struct vfs_handle_struct *handle,
			   struct files_struct *fsp, const void *data,
			   size_t n, off_t offset);
int cava_stream_ftruncate(struct vfs_handle_struct *handle,
			  struct files_struct *fsp, off_t len);
int cava_stream_renameat(struct vfs_handle_struct *handle,
			 struct files_struct *src_dirfsp,
			 const struct smb_filename *src,
			 struct files_struct *dst_dirfsp,
			 const struct smb_filename *dst
			 COMPAT_RENAME_HOW);

/* Around the setting of any attribute. */
void cava_stream_set(struct cava *cava, const struct files_struct *fsp,
		     const char *attribute, const void *value, size_t len);
void cava_stream_was_set(struct cava *cava, const struct files_struct *fsp,
			 const char *attribute, const void *value,
			 size_t len);

/* Says WILL_WRITE of file->stream; the CLOSE of it, or NULL. */
void cava_stream_will_write(struct cava_file *file);
struct proto_notice *cava_stream_closing(const struct cava_file *file);

ssize_t cava_fgetxattr_fn(struct vfs_handle_struct *handle,
			  struct files_struct *fsp, const char *name,
			  void *value, size_t size);

/* --- check_alias.c --- */

/* In this directory; NULL: where smbd is. */
bool cava_is_alias(struct cava *cava, const struct files_struct *dir,
		   const char *name);

/* O_PATH, of what the alias stands for; -1 and errno. */
int cava_alias_open(struct cava *cava, const char *name);
int cava_alias_stat(struct cava *cava, const char *name,
		    SMB_STRUCT_STAT *st);

/* As root. */
int cava_alias_unlink(struct cava *cava, const char *name);

/* --- check.c --- */

/* 0, or EACCES: who may connect to CHECK$. */
int cava_check_tree(struct cava *cava);

/*
 * 0, or EACCES: may who is connected go on reading? Asked once a second; with
 * cavad away the last answer holds.
 */
int cava_check_still(struct cava *cava);

/* The path that an alias stands for, on talloc_tos(), or NULL. */
const char *cava_check_target(struct cava *cava, const char *alias);

/* 0 or EACCES. fd: of the file, O_PATH will do; -1: of no file. */
int cava_check_fd(struct cava *cava, enum proto_what what, int fd,
		  const char *path);
int cava_check_ident(struct cava *cava, enum proto_what what,
		     const struct ident *ident, const char *path);

/* Counts what is refused whoever asks; `why` begins with what it is. */
void cava_check_refuse(struct cava *cava, const char *why);

/*
 * May this be opened so? Access mask and disposition are made such that
 * nothing is created, and no more is given than was asked about. What is
 * found goes to `create`.
 */
NTSTATUS cava_check_create(struct cava *cava,
			   const struct smb_filename *name, uint32_t options,
			   uint32_t *access_mask, uint32_t *disposition,
			   struct cava_create *create);

/* It was opened. */
void cava_check_created(struct cava *cava, struct files_struct *fsp);
/* check_fetch.c: bytes that a scanner reads, told at the close. */
void cava_fetch_begin(struct cava *cava, struct files_struct *fsp,
		      const struct ident *ident);
void cava_fetched(struct cava *cava, struct files_struct *fsp, ssize_t got);
void cava_fetch_end(struct cava *cava, struct files_struct *fsp);

int cava_check_openat(struct vfs_handle_struct *handle,
		      const struct files_struct *dirfsp,
		      const struct smb_filename *smb_fname,
		      struct files_struct *fsp,
		      const struct vfs_open_how *how);
/* Of named streams. */
int cava_check_stream_stat(struct vfs_handle_struct *handle,
			   struct smb_filename *name);
int cava_check_stream_fstat(struct vfs_handle_struct *handle,
			    struct files_struct *fsp, SMB_STRUCT_STAT *sbuf);
int cava_check_stream_openat(struct vfs_handle_struct *handle,
			     struct files_struct *fsp,
			     const struct vfs_open_how *how);
uint32_t cava_fs_capabilities_fn(struct vfs_handle_struct *handle,
				 enum timestamp_set_resolution *resolution);
int cava_stat_fn(struct vfs_handle_struct *handle,
		 struct smb_filename *smb_fname);
int cava_lstat_fn(struct vfs_handle_struct *handle,
		  struct smb_filename *smb_fname);
int cava_fstatat_fn(struct vfs_handle_struct *handle,
		    const struct files_struct *dirfsp,
		    const struct smb_filename *smb_fname,
		    SMB_STRUCT_STAT *sbuf, int flags);
int cava_chdir_fn(struct vfs_handle_struct *handle,
		  const struct smb_filename *smb_fname);
struct smb_filename *cava_realpath_fn(struct vfs_handle_struct *handle,
				      TALLOC_CTX *mem_ctx,
				      const struct smb_filename *name);
DIR *cava_fdopendir_fn(struct vfs_handle_struct *handle,
		       struct files_struct *fsp, const char *mask,
		       uint32_t attr);
struct dirent *cava_readdir_fn(struct vfs_handle_struct *handle,
			       struct files_struct *dirfsp, DIR *dirp
			       COMPAT_READDIR_STAT);
struct file_id cava_file_id_create_fn(struct vfs_handle_struct *handle,
				      const SMB_STRUCT_STAT *sbuf);

/* --- clean.c --- */

/*
 * Shall a handle that may change this file be among those of the clients, as
 * to share modes and leases?
 */
bool cava_clean_common(struct cava *cava, const struct smb_filename *name,
		       uint32_t access_mask);

/* It is, from here until it is closed. */
void cava_clean_opened(struct cava *cava, struct files_struct *fsp);
bool cava_clean_is_open(const struct cava *cava, const SMB_STRUCT_STAT *st);

/* Content of a file of CHECK$ is about to be changed. */
void cava_clean_write(struct cava *cava, struct files_struct *fsp);

int cava_clean_renameat(struct cava *cava, struct files_struct *src_dirfsp,
			const struct smb_filename *src,
			struct files_struct *dst_dirfsp,
			const struct smb_filename *dst);
int cava_unlinkat_fn(struct vfs_handle_struct *handle,
		     struct files_struct *dirfsp,
		     const struct smb_filename *name, int flags);
int cava_mkdirat_fn(struct vfs_handle_struct *handle,
		    struct files_struct *dirfsp,
		    const struct smb_filename *name, mode_t mode);
int cava_symlinkat_fn(struct vfs_handle_struct *handle,
		      const struct smb_filename *target,
		      struct files_struct *dirfsp,
		      const struct smb_filename *name);
int cava_mknodat_fn(struct vfs_handle_struct *handle,
		    struct files_struct *dirfsp,
		    const struct smb_filename *name, mode_t mode,
		    SMB_DEV_T dev);
NTSTATUS cava_fsctl_fn(struct vfs_handle_struct *handle,
		       struct files_struct *fsp, TALLOC_CTX *mem_ctx,
		       uint32_t function, uint16_t req_flags,
		       const uint8_t *in_data, uint32_t in_len,
		       uint8_t **out_data, uint32_t max_out_len,
		       uint32_t *out_len);

/* --- meta.c: the hooks; see Samba's vfs.h --- */

NTSTATUS cava_fset_nt_acl_fn(struct vfs_handle_struct *handle,
			     struct files_struct *fsp, uint32_t sent,
			     const struct security_descriptor *sd);
NTSTATUS cava_fset_dos_attributes_fn(struct vfs_handle_struct *handle,
				     struct files_struct *fsp,
				     uint32_t attributes);
int cava_fchmod_fn(struct vfs_handle_struct *handle,
		   struct files_struct *fsp, mode_t mode);
int cava_fchown_fn(struct vfs_handle_struct *handle,
		   struct files_struct *fsp, uid_t uid, gid_t gid);
int cava_fntimes_fn(struct vfs_handle_struct *handle,
		    struct files_struct *fsp, struct smb_file_time *ft);
int cava_sys_acl_set_fd_fn(struct vfs_handle_struct *handle,
			   struct files_struct *fsp, SMB_ACL_TYPE_T type,
			   SMB_ACL_T acl);
int cava_fsetxattr_fn(struct vfs_handle_struct *handle,
		      struct files_struct *fsp, const char *name,
		      const void *value, size_t size, int flags);
int cava_fremovexattr_fn(struct vfs_handle_struct *handle,
			 struct files_struct *fsp, const char *name);

/* --- worm.c --- */

/* Replaces st_ex_ctime by that before the record; fd may be O_PATH. */
void cava_worm_show(struct cava *cava, int fd, SMB_STRUCT_STAT *sbuf);
void cava_worm_show_name(struct cava *cava, int dirfd, const char *name,
			 bool follow, SMB_STRUCT_STAT *sbuf);

/* --- durable.c: the hooks; see Samba's vfs.h --- */

int cava_fstat_fn(struct vfs_handle_struct *handle, struct files_struct *fsp,
		  SMB_STRUCT_STAT *sbuf);
NTSTATUS cava_durable_disconnect_fn(struct vfs_handle_struct *handle,
				    struct files_struct *fsp,
				    const DATA_BLOB old_cookie,
				    TALLOC_CTX *mem_ctx,
				    DATA_BLOB *new_cookie);
NTSTATUS cava_durable_reconnect_fn(struct vfs_handle_struct *handle,
				   struct smb_request *smb1req,
				   struct smbXsrv_open *op,
				   const DATA_BLOB old_cookie,
				   TALLOC_CTX *mem_ctx,
				   struct files_struct **result,
				   DATA_BLOB *new_cookie);

/* --- read_now.c --- */

/* The bytes, if they are at hand; -1: the next module has to read. */
ssize_t cava_read_now(struct vfs_handle_struct *handle,
		      struct files_struct *fsp, void *data, size_t n,
		      off_t offset);

/* --- read.c: the hooks; see Samba's vfs.h --- */

ssize_t cava_pread_fn(struct vfs_handle_struct *handle,
		      struct files_struct *fsp, void *data, size_t n,
		      off_t offset);
ssize_t cava_sendfile_fn(struct vfs_handle_struct *handle, int tofd,
			 struct files_struct *fsp,
			 const DATA_BLOB *header, off_t offset,
			 size_t n);
struct tevent_req *cava_pread_send_fn(
	struct vfs_handle_struct *handle, TALLOC_CTX *mem_ctx,
	struct tevent_context *ev, struct files_struct *fsp, void *data,
	size_t n, off_t offset);
ssize_t cava_pread_recv_fn(struct tevent_req *req,
			   struct vfs_aio_state *aio);
struct tevent_req *cava_offload_read_send_fn(
	TALLOC_CTX *mem_ctx, struct tevent_context *ev,
	struct vfs_handle_struct *handle, struct files_struct *fsp,
	uint32_t fsctl, uint32_t ttl, off_t offset, size_t to_copy);
NTSTATUS cava_offload_read_recv_fn(struct tevent_req *req,
				   struct vfs_handle_struct *handle,
				   TALLOC_CTX *mem_ctx,
				   uint32_t *flags, uint64_t *xferlen,
				   DATA_BLOB *token);

/* --- write.c: the hooks; see Samba's vfs.h --- */

ssize_t cava_pwrite_fn(struct vfs_handle_struct *handle,
		       struct files_struct *fsp, const void *data,
		       size_t n, off_t offset);
struct tevent_req *cava_pwrite_send_fn(
	struct vfs_handle_struct *handle, TALLOC_CTX *mem_ctx,
	struct tevent_context *ev, struct files_struct *fsp,
	const void *data, size_t n, off_t offset);
ssize_t cava_pwrite_recv_fn(struct tevent_req *req,
			    struct vfs_aio_state *aio);
ssize_t cava_recvfile_fn(struct vfs_handle_struct *handle, int fromfd,
			 struct files_struct *fsp, off_t offset,
			 size_t n);
int cava_ftruncate_fn(struct vfs_handle_struct *handle,
		      struct files_struct *fsp, off_t len);
int cava_fallocate_fn(struct vfs_handle_struct *handle,
		      struct files_struct *fsp, uint32_t mode,
		      off_t offset, off_t len);
struct tevent_req *cava_offload_write_send_fn(
	struct vfs_handle_struct *handle, TALLOC_CTX *mem_ctx,
	struct tevent_context *ev, uint32_t fsctl, DATA_BLOB *token,
	off_t transfer_offset, struct files_struct *dest_fsp, off_t dest_off,
	off_t to_copy);
int cava_linkat_fn(struct vfs_handle_struct *handle,
		   struct files_struct *src_dirfsp,
		   const struct smb_filename *src,
		   struct files_struct *dst_dirfsp,
		   const struct smb_filename *dst, int flags);
int cava_renameat_fn(struct vfs_handle_struct *handle,
		     struct files_struct *src_dirfsp,
		     const struct smb_filename *src,
		     struct files_struct *dst_dirfsp,
		     const struct smb_filename *dst
		     COMPAT_RENAME_HOW);

#endif
