# Build of vfs_cava, cavad, cavactl, cee_agent and their tests; `./waf` runs
# it with the waf that Samba's source carries. Sources are globbed: a new
# file needs no line here.
#
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import shutil
import subprocess
import sys

from waflib import Build, Errors, Options, Scripting

APPNAME = "vfs_cava"
VERSION = "0.1"
top = "."
out = "build/out"

PKGS = ("talloc tevent libcurl lmdb libmicrohttpd jansson expat popt "
        "smartcols libsystemd libseccomp libcap inih smbclient cmocka nettle "
        "libical krb5 libcrypt")
COMMON = "TALLOC TEVENT EXPAT LIBSYSTEMD NETTLE"
DAEMON = COMMON + (" LIBCURL LMDB LIBMICROHTTPD JANSSON POPT LIBSECCOMP "
                   "LIBCAP INIH LIBICAL LIBCRYPT")
CHART_JS = "/usr/share/javascript/chart.js/chart.min.js"
# Where Samba's private headers are, below its source.
SAMBA_DIRS = ("source3 source3/include source3/lib include/public source4 "
              "lib source4/lib source4/include include lib/replace . librpc "
              "libcli/security source3/librpc lib/async_req libcli/util "
              "lib/param lib/tsocket lib/dbwrap lib/util/charset")
SAMBA_DEFINES = ("_SAMBA_BUILD_=4 vfs_cava_init=samba_init_module "
                 "HAVE_CONFIG_H=1 _GNU_SOURCE=1 _XOPEN_SOURCE_EXTENDED=1 "
                 "__STDC_WANT_LIB_EXT1__=1 _REENTRANT")


def options(opt):
    opt.load("compiler_c")
    own = opt.add_option_group("vfs_cava options")
    own.add_option("--werror", action="store_true",
                   help="warnings are errors (CI)")
    own.add_option("--sanitize", default="",
                   help="e.g. address,undefined")
    own.add_option("--long", action="store_true",
                   help="test: full sizes instead of scaled-down ones")
    own.add_option("--release", default="", metavar="SUITE",
                   help="test, deb: in this release of Debian (trixie), in "
                        "a root of its own below build/release")
    own.add_option("--only", default="",
                   help="test, sanitize: what has this in its name")


def samba_file(ctx, name):
    return ctx.path.find_node("build/samba/" + name)


def configure(conf):
    if "fuzzer" in conf.options.sanitize:
        conf.environ["CC"] = "clang"    # libFuzzer is a part of it
    conf.load("compiler_c")
    conf.env.append_value("CFLAGS", [
        "-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Wshadow",
        "-Wstrict-prototypes", "-Wmissing-prototypes",
        "-fstack-protector-strong", "-fstack-clash-protection",
        "-fcf-protection"])
    if conf.options.werror:
        conf.env.append_value("CFLAGS", "-Werror")
    conf.env.append_value("LINKFLAGS", [
        "-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack"])
    conf.env.append_value("DEFINES", ["_GNU_SOURCE=1"])
    conf.env.PROGRAM_CFLAGS = ["-fPIE"]
    conf.env.PROGRAM_LINKFLAGS = ["-pie", "-Wl,--as-needed"]
    if conf.options.sanitize:
        flag = "-fsanitize=" + conf.options.sanitize
        conf.env.SANITIZE = [flag, "-fno-omit-frame-pointer"]
        conf.env.PROGRAM_CFLAGS += conf.env.SANITIZE
        conf.env.PROGRAM_LINKFLAGS += [flag]
        conf.env.LIBFUZZER = "fuzzer" in conf.options.sanitize
    else:
        conf.env.append_value("DEFINES", ["_FORTIFY_SOURCE=2"])
    for name in PKGS.split():
        conf.check_cfg(package=name, args="--cflags --libs",
                       uselib_store=name.upper())
    conf.env.SMBD = samba_file(conf, "version").read()
    conf.env.MODULESDIR = modules_dir()
    conf.msg("smbd", conf.env.SMBD)
    conf.msg("modules of smbd", conf.env.MODULESDIR)


def modules_dir():
    said = subprocess.run(["/usr/sbin/smbd", "-b"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    for line in said.splitlines():
        name, colon, value = line.partition(":")
        if name.strip() == "MODULESDIR":
            return value.strip()
    raise Errors.WafError("`smbd -b` does not tell MODULESDIR")


def build(bld):
    env = bld.env
    program = {"includes": ".", "cflags": env.PROGRAM_CFLAGS,
               "linkflags": env.PROGRAM_LINKFLAGS}
    define = ['CAVA_VERSION="%s"' % VERSION]

    def glob(pattern, **more):
        return bld.path.ant_glob(pattern, quiet=True, **more)

    bld.stlib(target="common", source=glob("common/*.c"), use=COMMON,
              defines=define, **program)
    bld.stlib(target="daemon", source=glob("cavad/*.c",
                                           excl="cavad/main.c"),
              use=DAEMON, defines=define, **program)
    for name, sources, use, bindir in (
            ("cavad", "cavad/main.c", "daemon common " + DAEMON,
             "${PREFIX}/sbin"),
            ("cavactl", "cavactl/*.c",
             "daemon common LIBCURL JANSSON SMARTCOLS " + COMMON,
             "${PREFIX}/bin"),
            ("cee_agent", "cee_agent/*.c",
             "common LIBMICROHTTPD POPT INIH SMBCLIENT JANSSON KRB5 " + COMMON,
             "${PREFIX}/sbin")):
        if glob(sources):
            bld.program(target="bin/" + name, source=glob(sources), use=use,
                        defines=define, install_path=bindir, **program)
    build_module(bld, glob)
    build_tests(bld, glob, define, program)
    build_web(bld)
    install_rest(bld, glob)


# The administrator's page, as cavad serves it: our files, and Chart.js where
# the distribution has it.
def build_web(bld):
    web = bld.path.find_node("web")
    for node in web.ant_glob("**/*.html **/*.css **/*.js", quiet=True):
        name = node.path_from(web)
        bld(features="subst", is_copy=True, source=node,
            target="web/" + name, install_path=os.path.join(
                "${PREFIX}/share/cavad/web", os.path.dirname(name)))
    bld(rule="cp %s ${TGT}" % CHART_JS, target="web/chart.min.js",
        install_path="${PREFIX}/share/cavad/web")


# Beside the programs and the module.
def install_rest(bld, glob):
    for page in glob("docs/man/*.[158]"):
        bld.install_files("${PREFIX}/share/man/man" + page.name[-1], page)
    for unit in glob("packaging/*.service"):
        bld(features="subst", source=unit, target="packaging/" + unit.name,
            SBINDIR=bld.env.PREFIX + "/sbin",
            install_path="${PREFIX}/lib/systemd/system")
    for shell, folder in (
            ("cavactl.bash", "bash-completion/completions/cavactl"),
            ("_cavactl", "zsh/site-functions/_cavactl"),
            ("cavactl.fish", "fish/vendor_completions.d/cavactl.fish")):
        bld.install_as("${PREFIX}/share/" + folder,
                       "packaging/completion/" + shell)
    for profile in glob("packaging/apparmor/*"):
        bld(features="subst", source=profile, target="apparmor/" +
            profile.name, SBINDIR=bld.env.PREFIX + "/sbin",
            install_path="/etc/apparmor.d")
    for kind in ("sysusers", "tmpfiles"):
        for node in glob("packaging/*." + kind):
            bld.install_as("${PREFIX}/lib/%s.d/%s.conf" % (
                kind, node.name[:-len(kind) - 1]), node)
    bld.install_files("/etc/cavad", glob(["cavad.conf.example",
                                          "cee_agent.conf.example"]))
    bld.install_files("${PREFIX}/share/doc/vfs_cava/monitoring",
                      glob(["packaging/prometheus/*.yml",
                            "packaging/grafana/*.json"]))
    bld.install_files("${PREFIX}/share/doc/vfs_cava",
                      glob(["*.md", "COPYING", "docs/*.md",
                            "*.conf.example"]))


def build_tests(bld, glob, define, program):
    env = bld.env
    tests = bld.path.find_node("tests").abspath()
    define = define + ['TESTS_DIR="%s"' % tests,
                       'SOURCE_DIR="%s"' % bld.path.abspath()]
    fuzz_main = glob("tests/fuzz/fuzz_main.c")
    fuzz = dict(program, linkflags=list(env.PROGRAM_LINKFLAGS))
    fuzz_define = []
    if env.LIBFUZZER:
        fuzz["linkflags"] += ["-fsanitize=fuzzer"]
        fuzz_define = ["FUZZ_LIBFUZZER=1"]
    for source in glob(["tests/unit/test_*.c", "tests/bench/bench_*.c"]):
        build_test(bld, source, [], define, program)
    for source in glob("tests/fuzz/fuzz_*.c", excl="tests/fuzz/fuzz_main.c"):
        build_test(bld, source, fuzz_main, define + fuzz_define, fuzz)
    if not env.SANITIZE:
        build_fail_malloc(bld)


# Preloaded to unit tests by tests/alloc.py; ASan would be in its way.
def build_fail_malloc(bld):
    env = bld.env.derive()
    env.cshlib_PATTERN = "%s.so"
    bld.shlib(target="unit/fail_malloc", source="tests/unit/fail_malloc.c",
              cflags=["-fPIC"], env=env, install_path=None)


def build_test(bld, source, more, define, program):
    bld.program(target="%s/%s" % (source.parent.name, source.name[:-2]),
                source=[source] + more, defines=define,
                use="daemon common CMOCKA " + DAEMON, install_path=None,
                **program)


# The module resolves Samba's symbols from the smbd that loads it, and those
# of a sanitizer from what is preloaded to it (tests/sanitize.py); what it has
# of common/ stays hidden inside.
def build_module(bld, glob):
    source = samba_file(bld, "source").abspath()
    includes = []
    for name in SAMBA_DIRS.split():
        includes += ["-isystem", os.path.join(source, name)]
    flags = ["-fPIC", "-fvisibility=hidden"] + bld.env.SANITIZE
    shared = {"cflags": flags + includes +
              ["-Wno-unused-parameter", "-Wno-missing-prototypes",
               "-Wno-shadow"],
              "includes": "."}
    shared_common = glob("common/*.c", excl=[
        "common/cee_*.c", "common/core.c", "common/log.c",
        "common/watchdog.c"])
    bld.objects(target="module_common", source=shared_common,
                cflags=flags, includes=".",
                use="TALLOC TEVENT NETTLE")
    bld.objects(target="module_hooks", source=glob("vfs_cava/*.c"),
                defines=SAMBA_DEFINES.split() +
                ['CAVA_BUILT_FOR="%s"' % bld.env.SMBD],
                use="TALLOC TEVENT", **shared)
    env = bld.env.derive()
    env.cshlib_PATTERN = "%s.so"
    bld.shlib(target="cava",
              use="module_hooks module_common TALLOC TEVENT NETTLE",
              source=[], features="c cshlib", env=env,
              install_path=bld.env.MODULESDIR + "/vfs")


# That of Samba's waf looks for its lock where there is none.
def distclean(ctx):
    """removes build/out and the configuration; keeps Samba's source"""
    for name in ("build/out", "build/sanitize", "build/threads",
                 "build/libfuzzer"):
        shutil.rmtree(ctx.path.make_node(name).abspath(), ignore_errors=True)
    for lock in ctx.path.ant_glob(".lock-w*", quiet=True):
        lock.delete()


def in_build(ctx, *command):
    Scripting.run_command("build")
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    if getattr(ctx.options, "long", False):
        environment["CAVA_TEST_LONG"] = "1"
    ret = subprocess.run(list(command), cwd=ctx.path.abspath(),
                         env=environment).returncode
    if ret != 0:
        sys.exit(ret)


def in_release(ctx, command):
    """Whether the command was for another release, and is done."""
    options = ctx.options
    if not options.release:
        return False
    words = [command] + (["--only=" + options.only] if options.only else [])
    words += ["--" + name for name in ("long", "werror")
              if getattr(options, name)]
    ret = subprocess.run(["bash", "tests/release.sh", options.release] +
                         words, cwd=ctx.path.abspath()).returncode
    if ret != 0:
        sys.exit(ret)
    return True


def test(ctx):
    """runs every test; ends with `N passed, N failed`"""
    if in_release(ctx, "test"):
        return
    in_build(ctx, "/usr/bin/python3", "tests/run.py",
             "--only", ctx.options.only)


class stage(Build.InstallContext):
    """installs below build/deb/stage as packages do, with the prefix /usr"""
    cmd = "stage"

    def load_envs(self):
        super().load_envs()
        self.env.PREFIX = "/usr"


def deb(ctx):
    """makes Debian packages in build/deb, for the Samba installed here"""
    if in_release(ctx, "deb"):
        return
    where = ctx.path.make_node("build/deb").abspath()
    shutil.rmtree(where, ignore_errors=True)
    Options.options.destdir = where + "/stage"
    Scripting.run_command("stage")
    in_build(ctx, "/usr/bin/python3", "packaging/deb.py", where + "/stage",
             where)
    print("\n".join(str(node) for node in ctx.path.ant_glob(
        "build/deb/*.deb", quiet=True)))


def demo(ctx):
    """shows a file's whole way on this machine, each step checked"""
    in_build(ctx, "bash", "tests/demo.sh")


def pictures(ctx):
    """makes docs/pictures anew, of the page and of the demo"""
    in_build(ctx, "/usr/bin/python3", "tests/pictures.py",
             ctx.options.only)


def bench(ctx):
    """measures beside a plain share and virusfilter; --long: full sizes"""
    in_build(ctx, "/usr/bin/python3", "tests/bench/run.py",
             *(["--long"] if ctx.options.long else []),
             "--only", ctx.options.only)


def torture(ctx):
    """smbtorture with and without the module; --long: every suite"""
    in_build(ctx, "/usr/bin/python3", "tests/torture.py")


def lint(ctx):
    """checks the rules of HACKING.md that a machine can check"""
    in_build(ctx, "/usr/bin/python3", "tests/lint.py")
    run(ctx, "tests/analyze.py")


# A configuration and folder of its own, beside build/out.
def other_build(ctx, name, sanitize, *words):
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1",
                       WAFLOCK=".lock-waf-" + name)
    subprocess.run([sys.executable, sys.argv[0], "--out=build/" + name,
                    "--sanitize=" + sanitize, "configure", "build", *words],
                   cwd=ctx.path.abspath(), env=environment, check=True)


def run(ctx, *command):
    ret = subprocess.run(["/usr/bin/python3", *command],
                         cwd=ctx.path.abspath()).returncode
    if ret != 0:
        sys.exit(ret)


def soak(ctx):
    """faults at random among 20 clients, 1 min; --long: 200, 10 min"""
    long = ctx.options.long
    os.environ["CAVA_SOAK_SECONDS"] = "600" if long else "60"
    os.environ["CAVA_SOAK_CLIENTS"] = "200" if long else "20"
    in_build(ctx, "/usr/bin/python3", "-m", "pytest", "-q", "-s", "-p",
             "no:cacheprovider", "tests/smb/test_chaos.py")


def alloc(ctx):
    """unit tests with allocations that fail; --long: each of them"""
    in_build(ctx, "/usr/bin/python3", "tests/alloc.py", "--only",
             ctx.options.only, *(["--long"] if ctx.options.long else []))


def asan(ctx):
    """unit, daemon, fuzz and SMB tests with ASan, UBSan; --long: more"""
    other_build(ctx, "sanitize", "address,undefined")
    run(ctx, "tests/sanitize.py", "600" if ctx.options.long else "10",
        ctx.options.only)


def tsan(ctx):
    """unit and daemon tests of threads with ThreadSanitizer"""
    other_build(ctx, "threads", "thread")
    run(ctx, "tests/sanitize.py", "--threads", "0", ctx.options.only)


def fuzz(ctx):
    """fuzz targets under libFuzzer; --long: ten million inputs each"""
    names = ["fuzz/" + node.name[:-2] for node in
             ctx.path.ant_glob("tests/fuzz/fuzz_*.c",
                               excl="tests/fuzz/fuzz_main.c")]
    if shutil.which("clang") is None:
        raise Errors.WafError("libFuzzer is a part of clang; as root: "
                              "apt-get install clang libclang-rt-dev")
    other_build(ctx, "libfuzzer", "fuzzer-no-link,address,undefined",
                "--targets=" + ",".join(names))
    run(ctx, "tests/fuzz.py", *(["--long"] if ctx.options.long else []),
        "--only", ctx.options.only)
