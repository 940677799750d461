/* JSON: a document of n records (at most 10,000) is written into memory, then parsed by recursive descent into
 * a tree of nodes (objects, arrays, strings with escapes, numbers, literals), which is walked for
 * the answer. */
#include <stdint.h>

#define LIMIT 10000
/* A record takes at most 180 bytes of text, 11 nodes and 70 bytes of strings. */
#define TEXT_SIZE (1u << 21)
#define NODES (1u << 17)
#define STRINGS (1u << 20)

enum kind { NOTHING, FALSE, TRUE, NUMBER, STRING, ARRAY, OBJECT };

struct node {
    uint8_t kind;
    uint32_t name, text, length; /* Places in `strings`; 0 is no name. */
    uint32_t first, next;        /* Places in `nodes`; 0 is none. */
    double number;
};

static char document[TEXT_SIZE];
static struct node nodes[NODES];
static char strings[STRINGS];
static uint32_t written, used, kept, at;
static uint32_t failed;

/* --- writing --- */

static void put(const char *text) {
    while (*text)
        document[written++] = *text++;
}

static void put_number(uint32_t value) {
    char digits[10];
    uint32_t count = 0;
    do
        digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    while (count)
        document[written++] = digits[--count];
}

static void write_document(uint32_t records) {
    uint32_t seed = 7;
    written = 0;
    put("{\"version\": 1, \"records\": [");
    for (uint32_t i = 0; i < records; i++) {
        seed = seed * 1664525u + 1013904223u;
        put(i ? ",\n  {\"id\": " : "\n  {\"id\": ");
        put_number(i);
        put(", \"name\": \"station ");
        put_number(seed >> 20);
        put(seed >> 31 ? " \\\"north\\\" \\u00e9" : " south\\n");
        put("\", \"values\": [");
        for (uint32_t j = 0; j < (seed >> 8 & 3) + 1; j++) {
            if (j)
                put(", ");
            put(seed >> (j + 3) & 1 ? "-" : "");
            put_number(seed >> (j + 12));
            put(".");
            put_number(seed % 97 + j);
            put(seed >> (j + 5) & 1 ? "e-2" : "");
        }
        put("], \"active\": ");
        put(seed >> 30 & 1 ? "true" : "false");
        put(seed >> 29 & 1 ? ", \"note\": null}" : "}");
    }
    put("\n]}");
    document[written] = 0;
}

/* --- parsing --- */

static void skip_space(void) {
    while (document[at] == ' ' || document[at] == '\n' || document[at] == '\t')
        at++;
}

static int take(char wanted) {
    skip_space();
    if (document[at] != wanted)
        return 0;
    at++;
    return 1;
}

static uint32_t hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0');
    c |= 32;
    if (c >= 'a' && c <= 'f')
        return (uint32_t)(c - 'a') + 10;
    failed = 1;
    return 0;
}

static void keep(uint32_t code) {
    if (code < 0x80)
        strings[kept++] = (char)code;
    else if (code < 0x800) {
        strings[kept++] = (char)(0xc0 | code >> 6);
        strings[kept++] = (char)(0x80 | (code & 63));
    } else {
        strings[kept++] = (char)(0xe0 | code >> 12);
        strings[kept++] = (char)(0x80 | (code >> 6 & 63));
        strings[kept++] = (char)(0x80 | (code & 63));
    }
}

/* Behind the opening quotation mark; the unescaped text goes to `strings`. */
static uint32_t parse_string(uint32_t *length) {
    uint32_t start = kept;
    for (;;) {
        char c = document[at++];
        if (c == '"')
            break;
        if (c == 0) {
            failed = 1;
            at--;
            break;
        }
        if (c != '\\') {
            strings[kept++] = c;
            continue;
        }
        c = document[at++];
        switch (c) {
        case 'n':
            keep('\n');
            break;
        case 't':
            keep('\t');
            break;
        case 'r':
            keep('\r');
            break;
        case 'u': {
            uint32_t code = 0;
            for (int i = 0; i < 4; i++)
                code = code << 4 | hex_digit(document[at++]);
            keep(code);
            break;
        }
        default:
            strings[kept++] = c;
        }
    }
    *length = kept - start;
    return start;
}

static double parse_number(void) {
    double value = 0, scale = 1;
    int negative = 0, exponent = 0, down = 0;
    if (document[at] == '-')
        negative = 1, at++;
    if (document[at] < '0' || document[at] > '9')
        failed = 1;
    while (document[at] >= '0' && document[at] <= '9')
        value = value * 10 + (document[at++] - '0');
    if (document[at] == '.')
        for (at++; document[at] >= '0' && document[at] <= '9'; at++)
            scale /= 10, value += scale * (document[at] - '0');
    if ((document[at] | 32) == 'e') {
        at++;
        if (document[at] == '-' || document[at] == '+')
            down = document[at++] == '-';
        while (document[at] >= '0' && document[at] <= '9')
            exponent = exponent * 10 + (document[at++] - '0');
    }
    while (exponent-- > 0)
        value = down ? value / 10 : value * 10;
    return negative ? -value : value;
}

static int literal(const char *text) {
    uint32_t i = 0;
    while (text[i] && document[at + i] == text[i])
        i++;
    if (text[i])
        return 0;
    at += i;
    return 1;
}

static uint32_t parse_value(uint32_t depth);

/* Behind the opening bracket: what is up to `close`, each with a name if it is an object's. */
static void parse_children(struct node *node, char close, uint32_t depth) {
    uint32_t *link = &node->first;
    if (take(close))
        return;
    do {
        uint32_t name = 0, length;
        if (node->kind == OBJECT) {
            if (!take('"')) {
                failed = 1;
                return;
            }
            name = parse_string(&length);
            if (!take(':'))
                failed = 1;
        }
        uint32_t child = parse_value(depth - 1);
        nodes[child].name = name;
        *link = child;
        link = &nodes[child].next;
    } while (!failed && take(','));
    if (!take(close))
        failed = 1;
}

static uint32_t parse_value(uint32_t depth) {
    uint32_t self = used++;
    struct node *node = &nodes[self];
    node->kind = NOTHING;
    node->name = node->text = node->length = node->first = node->next = 0;
    if (depth == 0)
        failed = 1;
    else if (take('{')) {
        node->kind = OBJECT;
        parse_children(node, '}', depth);
    } else if (take('[')) {
        node->kind = ARRAY;
        parse_children(node, ']', depth);
    } else if (take('"')) {
        node->kind = STRING;
        node->text = parse_string(&node->length);
    } else if (literal("true"))
        node->kind = TRUE;
    else if (literal("false"))
        node->kind = FALSE;
    else if (!literal("null")) {
        node->kind = NUMBER;
        node->number = parse_number();
    }
    return self;
}

/* --- walking --- */

static uint32_t walk(uint32_t place) {
    uint32_t sum = 0;
    for (; place; place = nodes[place].next) {
        struct node *node = &nodes[place];
        sum = sum * 31 + node->kind;
        if (node->name)
            sum += (uint8_t)strings[node->name];
        if (node->kind == NUMBER)
            sum += (uint32_t)(int32_t)(node->number * 8);
        for (uint32_t i = 0; i < node->length; i++)
            sum = sum * 33 ^ (uint8_t)strings[node->text + i];
        sum ^= walk(node->first) * 7;
    }
    return sum;
}

int32_t run(int32_t n) {
    write_document((uint32_t)(n < LIMIT ? n : LIMIT));
    used = kept = 1;
    at = failed = 0;
    uint32_t root = parse_value(64);
    skip_space();
    if (failed || at != written)
        return -1;
    return (int32_t)(walk(root) ^ used << 16 ^ kept);
}
