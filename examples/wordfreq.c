/* Counts the words of every text below /inputs.
 *
 *     wordfreq [-n TOP] [-m LENGTH] [DIRECTORY]
 *
 * -n TOP       how many words the report shows (20)
 * -m LENGTH    count only words of at least this many letters (1)
 * DIRECTORY    where to read (/inputs)
 *
 * Environment: WORDFREQ_IGNORE=the,and,...  words to leave out
 *              WORDFREQ_TITLE=...           first line of the report
 *
 * Writes /outputs/words.csv (every word with its count), /outputs/files.csv (a row a file) and
 * /outputs/report.txt; prints the report. Exit status: 0, 1 when a file cannot be read or written,
 * 2 for wrong usage, 3 when there was nothing to read.
 */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_WORD 63
#define MAX_PATH 4096
#define MAX_DEPTH 32

struct word {
    char *text;
    uint32_t hash;
    uint32_t count;
};

/* Open addressing; the number of places is a power of two and at most half of them are taken. */
static struct word *table;
static size_t table_size, table_used;

static unsigned long total_words, total_lines, total_bytes, files_read;
static size_t min_length = 1;
static FILE *report, *files_csv;

static void fail(const char *what) {
    fprintf(stderr, "wordfreq: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *allocate(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (!memory)
        fail("memory");
    return memory;
}

static struct word *find(struct word *in, size_t size, const char *text, size_t length,
                         uint32_t hash) {
    size_t place = hash & (size - 1);
    while (in[place].text) {
        if (in[place].hash == hash && strncmp(in[place].text, text, length) == 0 &&
            in[place].text[length] == 0)
            break;
        place = (place + 1) & (size - 1);
    }
    return &in[place];
}

static void grow(void) {
    size_t bigger = table_size ? table_size * 2 : 1024;
    struct word *next = allocate(bigger, sizeof *next);
    for (size_t i = 0; i < table_size; i++)
        if (table[i].text)
            *find(next, bigger, table[i].text, strlen(table[i].text), table[i].hash) = table[i];
    free(table);
    table = next;
    table_size = bigger;
}

static struct word *intern(const char *text, size_t length, uint32_t hash) {
    if (table_used * 2 >= table_size)
        grow();
    struct word *found = find(table, table_size, text, length, hash);
    if (!found->text) {
        found->text = allocate(length + 1, 1);
        memcpy(found->text, text, length);
        found->hash = hash;
        table_used++;
    }
    return found;
}

/* FNV-1a, taken a byte at a time while the word is read. */
#define HASH_START 2166136261u
#define HASH_STEP(hash, byte) (((hash) ^ (uint8_t)(byte)) * 16777619u)

/* Words that WORDFREQ_IGNORE names hold a count that no word can reach. */
#define IGNORED UINT32_MAX

static void ignore_words(const char *list) {
    while (*list) {
        size_t length = strcspn(list, ",");
        if (length) {
            uint32_t hash = HASH_START;
            for (size_t i = 0; i < length; i++)
                hash = HASH_STEP(hash, list[i]);
            intern(list, length, hash)->count = IGNORED;
        }
        list += length + (list[length] == ',');
    }
}

static void count_word(const char *text, size_t length, uint32_t hash, unsigned long *words) {
    if (length < min_length)
        return;
    struct word *word = intern(text, length, hash);
    if (word->count != IGNORED)
        word->count++;
    ++*words;
}

/* A letter of ASCII or any byte of a UTF-8 sequence outside ASCII; an apostrophe or a hyphen
 * inside a word belongs to it. */
static int is_letter(int c) {
    return ((unsigned)(c | 32) - 'a' < 26u) || c >= 128;
}

static void count_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file)
        fail(path);
    static uint8_t buffer[16384];
    char word[MAX_WORD + 1];
    size_t length = 0;
    uint32_t hash = HASH_START;
    int joiner = 0;
    unsigned long words = 0, lines = 0, bytes = 0;
    for (;;) {
        size_t got = fread(buffer, 1, sizeof buffer, file);
        if (got == 0)
            break;
        bytes += got;
        for (size_t i = 0; i < got; i++) {
            int c = buffer[i];
            if (is_letter(c)) {
                if (c < 128)
                    c |= 32;
                if (joiner && length < MAX_WORD) {
                    word[length++] = (char)joiner;
                    hash = HASH_STEP(hash, joiner);
                }
                joiner = 0;
                if (length < MAX_WORD) {
                    word[length++] = (char)c;
                    hash = HASH_STEP(hash, c);
                }
                continue;
            }
            if (length) {
                if ((c == '\'' || c == '-') && !joiner) {
                    joiner = c;
                    continue;
                }
                count_word(word, length, hash, &words);
                length = 0;
                hash = HASH_START;
            }
            joiner = 0;
            lines += c == '\n';
        }
    }
    if (length)
        count_word(word, length, hash, &words);
    if (ferror(file))
        fail(path);
    fclose(file);
    /* Always quoted: a path may hold a comma. */
    putc('"', files_csv);
    for (const char *at = path; *at; at++) {
        if (*at == '"')
            putc('"', files_csv);
        putc(*at, files_csv);
    }
    fprintf(files_csv, "\",%lu,%lu,%lu\n", bytes, lines, words);
    total_bytes += bytes;
    total_lines += lines;
    total_words += words;
    files_read++;
}

static int ends_with(const char *name, const char *ending) {
    size_t n = strlen(name), e = strlen(ending);
    return n >= e && strcmp(name + n - e, ending) == 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void walk(const char *path, int depth) {
    DIR *directory = opendir(path);
    if (!directory)
        fail(path);
    char **names = NULL;
    size_t count = 0, room = 0;
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (count == room) {
            room = room ? room * 2 : 16;
            names = realloc(names, room * sizeof *names);
            if (!names)
                fail("memory");
        }
        names[count++] = strdup(entry->d_name);
    }
    closedir(directory);
    /* Which order a host lists a directory in must not show. */
    if (count)
        qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count; i++) {
        char full[MAX_PATH];
        struct stat status;
        if (snprintf(full, sizeof full, "%s/%s", path, names[i]) >= (int)sizeof full) {
            errno = ENAMETOOLONG;
            fail(names[i]);
        }
        if (lstat(full, &status) != 0)
            fail(full);
        if (S_ISDIR(status.st_mode) && depth < MAX_DEPTH)
            walk(full, depth + 1);
        else if (S_ISREG(status.st_mode) && (ends_with(full, ".txt") || ends_with(full, ".md")))
            count_file(full);
        else
            fprintf(stderr, "wordfreq: %s is not a text, left out\n", full);
        free(names[i]);
    }
    free(names);
}

static int by_count(const void *a, const void *b) {
    const struct word *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return strcmp(x->text, y->text);
}

/* One line, to the report and to standard output. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...) {
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    puts(line);
    fprintf(report, "%s\n", line);
}

static FILE *create(const char *path) {
    FILE *file = fopen(path, "w");
    if (!file)
        fail(path);
    return file;
}

static void finish(FILE *file, const char *path) {
    if (ferror(file) | fclose(file))
        fail(path);
}

static int usage(void) {
    fputs("usage: wordfreq [-n TOP] [-m LENGTH] [DIRECTORY]\n", stderr);
    return 2;
}

int main(int argc, char **argv) {
    size_t top = 20;
    const char *directory = "/inputs";
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at += 2) {
        char *end;
        if (at + 1 >= argc || (argv[at][1] != 'n' && argv[at][1] != 'm') || argv[at][2])
            return usage();
        unsigned long value = strtoul(argv[at + 1], &end, 10);
        if (*end || end == argv[at + 1])
            return usage();
        *(argv[at][1] == 'n' ? &top : &min_length) = value;
    }
    if (at < argc)
        directory = argv[at++];
    if (at < argc)
        return usage();
    const char *ignored = getenv("WORDFREQ_IGNORE"), *title = getenv("WORDFREQ_TITLE");
    if (ignored)
        ignore_words(ignored);

    report = create("/outputs/report.txt");
    files_csv = create("/outputs/files.csv");
    fputs("file,bytes,lines,words\n", files_csv);
    walk(directory, 0);
    finish(files_csv, "/outputs/files.csv");
    if (files_read == 0) {
        fprintf(stderr, "wordfreq: no text below %s\n", directory);
        return 3;
    }

    /* The counted words to the front of the table, which is done with lookups now. */
    size_t different = 0;
    for (size_t i = 0; i < table_size; i++)
        if (table[i].text && table[i].count && table[i].count != IGNORED)
            table[different++] = table[i];
    if (different)
        qsort(table, different, sizeof *table, by_count);
    FILE *words_csv = create("/outputs/words.csv");
    fputs("word,count\n", words_csv);
    for (size_t i = 0; i < different; i++)
        fprintf(words_csv, "%s,%u\n", table[i].text, (unsigned)table[i].count);
    finish(words_csv, "/outputs/words.csv");

    say("%s", title ? title : "Word frequencies");
    say("%lu files, %lu bytes, %lu lines, %lu words, %zu different words counted", files_read,
        total_bytes, total_lines, total_words, different);
    for (size_t i = 0; i < different && i < top; i++) {
        unsigned long per_mille = (table[i].count * 10000ul + total_words / 2) / total_words;
        say("%6u  %3lu.%02lu %%  %s", (unsigned)table[i].count, per_mille / 100, per_mille % 100,
            table[i].text);
    }
    finish(report, "/outputs/report.txt");
    return 0;
}
