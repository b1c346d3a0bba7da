/* SPDX-License-Identifier: Apache-2.0 */
/* More of runtime_keep.c: memory that comes after its sandbox runs (runtime/linux/pager.h). */
#include "runtime/linux/pager.h"
#include "runtime_fixture.h"
#include "runtime_keep.h"
#include "runtime_remains.h"
#include "test.h"

enum {
    LAZY_MIN = 32 << 20,
    EXIT_MS = 10000,
};

/* Memory in which each page says which one it is, and all that may happen to it while it is not
 * there yet: what is given back reads as zeros, what is moved, split or copied as it was. What is
 * made first lies above the rest, and comes last. 18 is MADV_WIPEONFORK, 10 MADV_DONTFORK. Its
 * clock that only goes while it runs tells it of a resume at once. */
static const char program[] =
    "cat >/m.py <<'E'\n"
    "import ctypes, mmap, os, struct, sys, threading, time\n"
    "MIB, PAGE = 1 << 20, 4096\n"
    "libc = ctypes.CDLL(None, use_errno=True)\n"
    "def made(mib, tag):\n"
    "  m = mmap.mmap(-1, mib * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n"
    "  for i in range(0, len(m), PAGE): m[i:i + 8] = struct.pack('<II', tag, i // PAGE + 1)\n"
    "  return m\n"
    "def whole(m, tag, begin=0, end=None, step=1):\n"
    "  pages = range(begin, len(m) // PAGE if end is None else end)[::step]\n"
    "  return all(m[i * PAGE:i * PAGE + 8] == struct.pack('<II', tag, i + 1) for i in pages)\n"
    "def zero(m, begin=0, end=None):\n"
    "  end = len(m) // PAGE if end is None else end\n"
    "  return all(m[i * PAGE:i * PAGE + 8] == bytes(8) for i in range(begin, end))\n"
    "def address(m): return ctypes.addressof(ctypes.c_char.from_buffer(m))\n"
    "def child(fn):\n"
    "  pid = os.fork()\n"
    "  if pid == 0: os._exit(0 if fn() else 1)\n"
    "  return os.waitpid(pid, 0)[1] == 0\n"
    "wiped, unshared = made(1, 7), made(1, 8)\n"
    "wiped.madvise(18)\n"
    "unshared.madvise(10)\n"
    "left, parted, gone, moved, holes, big = (made(n, t) for t, n in ((5, 8), (4, 8), (3, 8), (2, "
    "8), (1, 8), (0, 80)))\n"
    "def check():\n"
    "  for at in (address(left), address(parted)):\n"
    "    for i in range(0, 2048, 64): yield 'split', libc.mprotect(ctypes.c_void_p(at + i * PAGE), "
    "PAGE, 1) == 0\n"
    "  holes.madvise(mmap.MADV_DONTNEED, 2 * MIB, 4 * MIB)\n"
    "  yield 'wiped', child(lambda: zero(wiped))\n"
    "  yield 'child', child(lambda: whole(big, 0, step=-7) and whole(moved, 2))\n"
    "  t = threading.Thread(target=lambda: whole(big, 0, step=-1))\n"
    "  t.start()\n"
    "  moved.resize(12 * MIB)\n"
    "  yield 'moved', whole(moved, 2, 0, 2048) and zero(moved, 2048)\n"
    "  gone.close()\n"
    "  yield 'fresh', zero(mmap.mmap(-1, 8 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))\n"
    "  yield 'holes', whole(holes, 1, 0, 512) and zero(holes, 512, 1536) and whole(holes, 1, "
    "1536)\n"
    "  yield 'parted', whole(parted, 4)\n"
    "  yield 'kept', whole(wiped, 7) and whole(unshared, 8)\n"
    "  t.join()\n"
    "  yield 'big', whole(big, 0)\n"
    "def asleep(): return time.time() - time.monotonic()\n"
    "open('/ready', 'w').close()\n"
    "while True:\n"
    "  before = asleep()\n"
    "  while asleep() < before + .03: time.sleep(.0005)\n"
    "  kind = open('/kind').read()\n"
    "  bad = [what for what, is_so in check() if not is_so] if kind == 'whole' else []\n"
    "  if kind == 'quick' and not (whole(big, 0, 5000) and whole(big, 0, step=-1) and whole(left, "
    "5)): bad = ['quick']\n"
    "  open('/said.new', 'w').write(' '.join(bad) or 'good')\n"
    "  os.rename('/said.new', '/said')\n"
    "E\n"
    "python3 /m.py >/m.log 2>&1 </dev/null & while [ ! -e /ready ]; do sleep .02; done";

static const char said[] = "for i in $(seq 200); do [ ! -e /said ] || break; sleep .05; done; "
                           "cat /said /m.log; rm /said";

static const char whole[] = "echo -n whole >/kind", quick[] = "echo -n quick >/kind";

static uint64_t lazy_before;

bool lazy_is_possible(void)
{
    struct runtime_capabilities can;

    runtime_capabilities(rig.runtime, &can);
    return can.criu != NULL && pager_is_possible(can.criu);
}

static void begin(const char *id, const char *kind)
{
    need_memory();
    if (!lazy_is_possible())
        test_skip("no memory that comes later here: tools/criu and /dev/userfaultfd are needed");
    lazy_before = rig.config.lazy_memory_bytes;
    rig.config.lazy_memory_bytes = LAZY_MIN;
    reopen_with(0);
    CHECK(rig_start(id) == ERR_NONE);
    if (strcmp(rig_sh(id, "command -v python3 >/dev/null && echo yes"), "yes\n") != 0)
        test_skip("needs python3");
    rig_sh(id, kind);
    rig_sh(id, program);
}

static void end(const char *after)
{
    rig.config.lazy_memory_bytes = lazy_before;
    reopen_with(0);
    check_clean(after);
}

static void pause_and_resume(const char *id)
{
    CHECK(rig_pause(id, true) == ERR_NONE);
    CHECK(rig_resume(id) == ERR_NONE);
    CHECK(remains_pagers() > 0);
}

void memory_comes_later(void)
{
    begin("lazy", whole);
    pause_and_resume("lazy");
    test_note("resumed in %llu us", (unsigned long long)rig.took_us);
    CHECK(says("lazy", said, "good"));
    /* a pause waits for what is still to come, a snapshot too, and the copy has all of it */
    rig_sh("lazy", quick);
    pause_and_resume("lazy");
    pause_and_resume("lazy");
    CHECK(says("lazy", said, "good"));
    pause_and_resume("lazy");
    CHECK(rig_snapshot("lazy", "later", true) == ERR_NONE);
    CHECK(rig_start_from("copy", "later") == ERR_NONE);
    CHECK(says("lazy", said, "good") && says("copy", said, "good"));
    /* whoever waits for memory may be ended, and who brings it with it */
    pause_and_resume("lazy");
    CHECK(rig_stop("lazy") == ERR_NONE && rig_stop("copy") == ERR_NONE);
    CHECK(rig_snapshot_remove("later") == ERR_NONE);
    end("memory that comes later");
}

/* The next node finds it running, its memory still on the way. */
void memory_comes_without_a_node(void)
{
    begin("alone", quick);
    pause_and_resume("alone");
    reopen_with(0);
    CHECK(says("alone", said, "good"));
    CHECK(rig_stop("alone") == ERR_NONE);
    end("memory without a node");
}

static size_t exits_before;

static bool has_ended(void)
{
    return rig.exits > exits_before;
}

/* It may not go on with memory that nobody brings. */
void without_its_pager_it_ends(void)
{
    begin("orphan", quick);
    exits_before = rig.exits;
    pause_and_resume("orphan");
    CHECK(remains_kill_pager());
    CHECK(rig_until(has_ended, EXIT_MS));
    end("one without its pager");
}
