/*
 * The guest of real runs: fills memory, then writes pages by the workload notation (docs/run-record.md), and says on
 * its serial ports what it did.
 *
 * Command line, in this order, the workload last because it holds spaces:
 *     touched=20480 content=random|repeated|zero delta=4 workload=uniform(wss=16384p, rate=3000p/s)
 *
 * COM1, lines of text:
 *     error: ...                          the command line cannot be followed; nothing is run
 *     ready tsc_khz=N                     memory is filled, the writers start now
 *     r ms=T writes=N behind=N gap_us=N   every 500 ms: time since `ready`, writes done, writes due but not done, and
 *                                         the longest time between two turns of the loop since the last such line
 * COM2: one byte every 4 ms, for an observer outside who stamps them with his own clock.
 *
 * Some hosts emulate 32-bit code instruction by instruction, at microseconds each and without floating point or iret.
 * Hence integers only, few instructions in the loops, and memory filled by the hypervisor (fw_cfg's DMA).
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

enum {
    PAGE = 4096,
    TABLES = 0x200000,          /* alias tables of zipf terms: 2 to 8 MiB */
    MEMORY = 0x800000,          /* what is counted as touched starts here */
    TICK_HZ = 250,
    REPORT_US = 500000,
    CLOSED_US = 6000,           /* a closed writer makes up for no more than so much: a tick and a half */
    BATCH = 64,                 /* writes of a term in one turn, so that turns stay short */
    MAX_TERMS = 8,
    COM1 = 0x3f8,
    COM2 = 0x2f8,
};

enum pattern { UNIFORM, SWEEP, ZIPF };

struct term {
    enum pattern pattern;
    u32 wss;                    /* pages */
    u32 rate;                   /* thousandths of a page per second */
    u32 exponent;               /* zipf: thousandths */
    int closed;
    u64 on_us, off_us;          /* off_us 0: always on */
    u32 first;                  /* page of the region's start */
    u64 phase_us;               /* where in its phase the writer is */
    u32 pages_per_us;           /* the rate, 32 bits after the point */
    u64 due;                    /* pages due and not written, 32 bits after the point */
    u32 next;                   /* sweep: the next page */
    const struct alias *table;  /* zipf */
};

/* Walker's alias method: page i with this probability (32 bits after the point), else the other one. */
struct alias { u32 keep, other; };

struct multiboot { u32 flags, mem_lower, mem_upper, boot_device, cmdline; };
struct gate { u16 low, selector, flags, high; } __attribute__((packed));

volatile u32 ticks;
extern void on_tick(void), on_other(void);

static struct term terms[MAX_TERMS];
static u32 term_count, seed = 0x9e3779b9, delta = 4, tsc_khz, writes;
static struct gate idt[256];

/* ---- the machine ---- */

static inline void out8(u16 port, u8 value) { asm volatile("outb %0, %1" :: "a"(value), "Nd"(port)); }

static inline u64 rdtsc(void)
{
    u32 low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return ((u64)high << 32) | low;
}

/* 64 by 32 bits: gcc's own would come from a library that 64-bit machines do not have for 32-bit code. */
static u64 divide(u64 n, u32 d)
{
    u32 high = (u32)(n >> 32), low = (u32)n, q_high, q_low, rest;
    asm("divl %4" : "=a"(q_high), "=d"(rest) : "a"(high), "d"(0), "rm"(d));
    asm("divl %4" : "=a"(q_low), "=d"(rest) : "a"(low), "d"(rest), "rm"(d));
    return ((u64)q_high << 32) | q_low;
}

static inline void store_repeated(void *to, u32 value, u32 words)
{
    asm volatile("rep stosl" : "+D"(to), "+c"(words) : "a"(value) : "memory");
}

static inline void out32(u16 port, u32 value) { asm volatile("outl %0, %1" :: "a"(value), "Nd"(port)); }

/* QEMU's fw_cfg device (docs/specs/fw_cfg.rst): its DMA copies parts of this very image, item 0x11, into memory. */
static void fw_cfg(u32 control, u32 length, u32 to)
{
    static volatile struct { u32 control, length, to_high, to_low; } order;
    order.control = __builtin_bswap32(control);
    order.length = __builtin_bswap32(length);
    order.to_low = __builtin_bswap32(to);
    out32(0x514, 0);
    out32(0x518, __builtin_bswap32((u32)&order));
}

enum { FW_READ = 2, FW_SKIP = 4, FW_SELECT_KERNEL = 0x00110008, IMAGE = 0x100000 };

static void copy_from_image(u32 to, const void *from, u32 length)
{
    fw_cfg(FW_SELECT_KERNEL | FW_SKIP, (u32)from - IMAGE, 0);
    fw_cfg(FW_READ, length, to);
}

/* Two instructions (Numerical Recipes' constants). Only the high bits are used, which are the good ones. */
static inline u32 random32(void) { return seed = seed * 1664525u + 1013904223u; }

/* ---- talking ---- */

static char line[192];
static u32 line_length;

static void put(const char *text)
{
    while (*text && line_length < sizeof line) line[line_length++] = *text++;
}

static void put_number(u32 n)
{
    char digits[10];
    int i = 10;
    do digits[--i] = (char)('0' + n % 10); while (n /= 10);
    while (i < 10 && line_length < sizeof line) line[line_length++] = digits[i++];
}

/* One string instruction: one exit to the hypervisor instead of one a character. */
static void say(void)
{
    const char *text = line;
    put("\n");
    u32 length = line_length;
    asm volatile("rep outsb" : "+S"(text), "+c"(length) : "d"(COM1) : "memory");
    line_length = 0;
}

static void halt_for_good(void)
{
    for (;;) asm volatile("cli; hlt");
}

static void fail(const char *what, const char *where)
{
    put("error: ");
    put(what);
    put(" at `");
    for (int i = 0; i < 24 && where[i]; i++) {
        char one[2] = { where[i], 0 };
        put(one);
    }
    put("`");
    say();
    halt_for_good();
}

/* ---- reading the command line ---- */

static const char *at;

static void skip_spaces(void) { while (*at == ' ') at++; }

static int accept(const char *word)
{
    const char *p = at;
    skip_spaces();
    const char *q = at;
    while (*word && *q == *word) q++, word++;
    if (*word) { at = p; return 0; }
    at = q;
    return 1;
}

static void expect(const char *word) { if (!accept(word)) fail("this was not understood", at); }

/* A decimal number in thousandths. */
static u64 thousandths(void)
{
    u64 n = 0, places = 1000;
    skip_spaces();
    if (*at < '0' || *at > '9') fail("a number is missing", at);
    while (*at >= '0' && *at <= '9') n = n * 10 + (u64)(*at++ - '0') * 1000;
    if (*at == '.')
        for (at++; *at >= '0' && *at <= '9'; at++) {
            places = divide(places, 10);
            n += (u64)(*at - '0') * places;
        }
    return n;
}

/* Pages, in thousandths: 16384p, 64MiB, 1GiB. */
static u64 pages(void)
{
    u64 n = thousandths();
    if (accept("p")) return n;
    if (accept("KiB")) return n >> 2;
    if (accept("MiB")) return n << 8;
    if (accept("GiB")) return n << 18;
    fail("pages take p, KiB, MiB or GiB", at);
    return 0;
}

static u64 microseconds(void)
{
    u64 n = thousandths();
    if (accept("ms")) return n;
    if (accept("us")) return divide(n, 1000);
    if (accept("s")) return n * 1000;
    if (accept("min")) return n * 60000;
    fail("a time takes s, ms, us or min", at);
    return 0;
}

static void parse_term(struct term *term, int inside_phase)
{
    if (!inside_phase && accept("phase(")) {
        for (int i = 0; i < 2; i++) {
            if (accept("on=")) term->on_us = microseconds();
            else { expect("off="); term->off_us = microseconds(); }
            expect(",");
        }
        parse_term(term, 1);
        expect(")");
        return;
    }
    if (accept("uniform(")) term->pattern = UNIFORM;
    else if (accept("sweep(")) term->pattern = SWEEP;
    else { expect("zipf("); term->pattern = ZIPF; }
    do {
        if (accept("wss=")) term->wss = (u32)divide(pages(), 1000);
        else if (accept("rate=")) { term->rate = (u32)pages(); expect("/s"); }
        else if (accept("s=")) term->exponent = (u32)thousandths();
        else if (accept("closed")) term->closed = 1;
        else expect("open");
    } while (accept(","));
    if (term->wss == 0) fail("wss is missing or zero", at);
    expect(")");
}

/* ---- zipf ---- */

/* log2(n) * 2^24, bit by bit: squaring a number between 1 and 2 doubles its logarithm. */
static u32 log2_q24(u32 n)
{
    u32 whole = 31 - (u32)__builtin_clz(n), fraction = 0;
    u64 x = (u64)n << (31 - whole);             /* 1 to 2, 31 bits after the point */
    for (int bit = 23; bit >= 0; bit--) {
        x = (x * x) >> 31;
        if (x >> 32) { x >>= 1; fraction |= 1u << bit; }
    }
    return (whole << 24) | fraction;
}

/* 2^-x * 2^24 for x in 24 bits after the point, by its bits: 2^-(1/2), 2^-(1/4), ... are square roots of one another. */
static u32 exp2_minus_q24(u64 x)
{
    static const u32 root[16] = {               /* 2^-(2^-i) * 2^32, i from 1 */
        3037000500u, 3611622603u, 3938502376u, 4112874773u, 4202935003u, 4248701965u, 4271771996u, 4283353945u,
        4289156690u, 4292061010u, 4293513907u, 4294240540u, 4294603903u, 4294785595u, 4294876445u, 4294921870u,
    };
    u32 whole = (u32)(x >> 24);
    u64 y = 1u << 30;
    if (whole > 24) return 0;
    for (int i = 0; i < 16; i++)
        if (x & (1u << (23 - i))) y = (y * root[i]) >> 32;
    return (u32)(y >> 6) >> whole;
}

/* i^-s * 2^24 for ranks from 1, between tabulated points of both functions. */
static u32 log_table[65], exp_table[65];

static u32 zipf_weight(u32 rank, u32 exponent_q16)
{
    u32 whole = 31 - (u32)__builtin_clz(rank), mantissa = (rank << (31 - whole)) & 0x7fffffff;
    const u32 *l = log_table + (mantissa >> 25);
    u32 log = (whole << 24) + l[0] + (u32)(((u64)(l[1] - l[0]) * (mantissa & 0x1ffffff)) >> 25);
    u64 x = ((u64)log * exponent_q16) >> 16;
    if (x >> 29) return 0;
    const u32 *e = exp_table + (((u32)x >> 18) & 63);
    return (e[0] - (u32)(((u64)(e[0] - e[1]) * ((u32)x & 0x3ffff)) >> 18)) >> ((u32)x >> 24);
}

/* Weights fall with the rank, so that pages above the mean stand in front: each lends to the last ones, then to itself. */
static void zipf_table(struct alias *table, struct term *term)
{
    u32 n = term->wss, exponent_q16 = (u32)divide((u64)term->exponent << 16, 1000), sum = 0;
    for (u32 i = 0; i < 65; i++) {
        log_table[i] = log2_q24(64 + i) - (6u << 24);
        exp_table[i] = exp2_minus_q24((u64)i << 18);
    }
    for (u32 i = 0; i < n; i++) sum += table[i].keep = zipf_weight(i + 1, exponent_q16);
    u32 rich = 0, poor = n - 1;
    u64 wealth = (u64)table[0].keep * n;        /* in units of which the mean has `sum` */
    while (rich < poor) {
        u32 lent_to, owned;
        if (wealth < sum) {                     /* has lent more than it can: the next one makes up for it */
            lent_to = rich++;
            owned = (u32)wealth;
            wealth = (u64)table[rich].keep * n;
        } else {
            lent_to = poor--;
            u64 own = (u64)table[lent_to].keep * n;
            owned = own < sum ? (u32)own : sum;
        }
        wealth -= sum - owned;
        table[lent_to].keep = owned < sum ? (u32)divide((u64)owned << 32, sum) : 0xffffffffu;
        table[lent_to].other = rich;
    }
    table[rich].keep = 0xffffffffu;
    table[rich].other = rich;
    term->table = table;
}

/* ---- the work ---- */

/* The same bytes of the page each time, always with another value: what changes from write to write is `delta`. */
static inline void write_page(u32 page)
{
    u32 *to = (u32 *)(MEMORY + 64 + page * PAGE), value = ++writes << 8 | 1;
    if (delta == 4) *(volatile u32 *)to = value;
    else store_repeated(to, value, delta / 4);
}

static void write_pages(struct term *term, u32 count)
{
    u32 first = term->first, wss = term->wss;
    switch (term->pattern) {
    case UNIFORM:
        while (count--) write_page(first + (u32)(((u64)random32() * wss) >> 32));
        break;
    case ZIPF:
        while (count--) {
            u64 drawn = (u64)random32() * wss;
            const struct alias *alias = term->table + (u32)(drawn >> 32);
            write_page(first + ((u32)drawn <= alias->keep ? (u32)(drawn >> 32) : alias->other));
        }
        break;
    case SWEEP:
        while (count--) {
            write_page(first + term->next);
            if (++term->next == wss) term->next = 0;
        }
    }
}

/* How much of the next `us` the writer works. */
static u32 working(struct term *term, u32 us)
{
    u32 work = 0;
    if (!term->off_us) return us;
    while (us) {
        int on = term->phase_us < term->on_us;
        u64 left = (on ? term->on_us : term->on_us + term->off_us) - term->phase_us;
        u32 step = us < left ? us : (u32)left;
        if (on) work += step;
        term->phase_us += step;
        if (!on && step == left) term->phase_us = 0;
        us -= step;
    }
    return work;
}

extern const u8 noise[], noise_end[], pattern[], pattern_end[];

static void fill(u32 touched, char content)
{
    const u8 *from = content == 'r' ? noise : pattern;
    u32 most = (u32)((content == 'r' ? noise_end : pattern_end) - from) / PAGE, step;
    for (u32 i = 0; content != 'z' && i < touched; i += step) {
        step = touched - i < most ? touched - i : most;
        copy_from_image(MEMORY + i * PAGE, from, step * PAGE);
    }
    /* Each page its own, unless pages are to be alike. */
    for (u32 i = 0; i < touched; i++) {
        volatile u32 *page = (volatile u32 *)(MEMORY + i * PAGE);
        if (content == 'r') *page = i + 1;
        else if (content == 'z') *page = 0;
    }
}

static void set_gate(int vector, void (*handler)(void))
{
    u32 address = (u32)handler;
    idt[vector] = (struct gate){ (u16)address, 0x08, 0x8e00, (u16)(address >> 16) };
}

static void start_clock(void)
{
    struct { u16 limit; u32 base; } __attribute__((packed)) pointer = { sizeof idt - 1, (u32)idt };
    for (int i = 0; i < 256; i++) set_gate(i, on_other);
    set_gate(0x20, on_tick);
    asm volatile("lidt %0" :: "m"(pointer));
    out8(0x20, 0x11); out8(0xa0, 0x11);         /* both interrupt controllers: vectors from 0x20, */
    out8(0x21, 0x20); out8(0xa1, 0x28);
    out8(0x21, 4); out8(0xa1, 2);
    out8(0x21, 1); out8(0xa1, 1);
    out8(0x21, 0xfe); out8(0xa1, 0xff);         /* the timer alone */
    u32 divisor = 1193182 / TICK_HZ;
    out8(0x43, 0x34);
    out8(0x40, (u8)divisor); out8(0x40, (u8)(divisor >> 8));
    asm volatile("sti");
    /* The processor's own clock against the timer's: 200 ms. */
    u32 start = ticks + 4;
    while ((int)(ticks - start) < 0) asm volatile("hlt");
    u64 before = rdtsc();
    start = ticks + TICK_HZ / 5;
    while ((int)(ticks - start) < 0) asm volatile("hlt");
    /* 50 ticks of 4772 / 1193182 s. */
    tsc_khz = (u32)divide(divide((rdtsc() - before) * 1193182, 1000), divisor * (TICK_HZ / 5));
}

static void work(void)
{
    u32 us_per_cycle = (u32)divide(1000ull << 32, tsc_khz);     /* 32 bits after the point */
    u32 now_us = 0, reported = 0, gap = 0, fraction = 0, elapsed_ms = 0;
    u64 last = rdtsc();
    for (;;) {
        u64 now = rdtsc(), cycles = now - last;
        last = now;
        /* Restored on a processor whose clock is behind: no time has passed. The loop below would take minutes. */
        if (cycles >> 63) cycles = 0;
        /* Longer than a processor's 32 bits of cycles: a long stop; what is lost below a second of it does not matter. */
        u32 us = 0, behind = 0;
        for (; cycles >> 32; cycles -= 1ull << 32) us += us_per_cycle;
        u64 exact = (u64)(u32)cycles * us_per_cycle + fraction;
        us += (u32)(exact >> 32);
        fraction = (u32)exact;
        now_us += us;
        if (us > gap) gap = us;
        for (u32 i = 0; i < term_count; i++) {
            struct term *term = &terms[i];
            u32 counted = working(term, term->closed && us > CLOSED_US ? CLOSED_US : us);
            term->due += (u64)counted * term->pages_per_us;
            u32 count = (u32)(term->due >> 32);
            if (count > BATCH) count = BATCH;
            if (count) write_pages(term, count);
            term->due -= (u64)count << 32;
            behind += (u32)(term->due >> 32);
        }
        if (now_us - reported >= REPORT_US) {
            elapsed_ms += (now_us - reported) / 1000;
            reported += (now_us - reported) / 1000 * 1000;
            put("r ms="); put_number(elapsed_ms);
            put(" writes="); put_number(writes);
            put(" behind="); put_number(behind);
            put(" gap_us="); put_number(gap);
            say();
            gap = 0;
        }
        static u32 beat;
        if (beat != ticks) {
            beat = ticks;
            out8(COM2, '.');
        }
        if (!behind) asm volatile("hlt");
    }
}

void guest_main(const struct multiboot *boot)
{
    u32 touched = 0, first = 0;
    struct alias *table = (struct alias *)TABLES;
    char content = 'r';
    if (!(boot->flags & 4)) fail("the loader gave no command line", "");
    for (at = (const char *)boot->cmdline; *at && *at != ' '; at++) {}
    if (accept("touched=")) touched = (u32)divide(thousandths(), 1000);
    if (accept("content=")) {
        skip_spaces();
        content = accept("random") ? 'r' : accept("zero") ? 'z' : (expect("repeated"), 's');
    }
    if (accept("delta=")) delta = (u32)divide(thousandths(), 1000);
    expect("workload=");
    if (!accept("idle"))
        do {
            struct term *term = &terms[term_count];
            if (term_count++ == MAX_TERMS) fail("more than 8 terms", at);
            parse_term(term, 0);
            term->first = first;
            first += term->wss;
            if (term->rate > 900000000) fail("a rate is above 900000p/s", at);
            term->pages_per_us = (u32)divide((u64)term->rate << 32, 1000000000);
            if (term->pattern == ZIPF) {
                if ((u32)(table + term->wss) > MEMORY) fail("zipf takes up to 786432 pages in all", at);
                zipf_table(table, term);
                table += term->wss;
            }
        } while (accept("+"));
    if (*at) fail("this was not understood", at);
    if (touched < first) touched = first;
    if (touched > (boot->mem_upper + 1024 - MEMORY / 1024) / 4) fail("more is touched than there is memory", "");
    if (delta < 4 || delta > 4028) fail("delta takes 4 to 4028 bytes", "");
    fill(touched, content);
    start_clock();
    put("ready tsc_khz="); put_number(tsc_khz);
    say();
    work();
}
