/* Statistics of the numeric columns of every CSV table below /inputs.
 *
 *     csvstats [-g COLUMN] [FILE]...
 *
 * -g COLUMN    also a row for every value of this column (or set CSVSTATS_GROUP=COLUMN)
 * FILE         tables to read (every *.csv directly in /inputs)
 *
 * A column is numeric when each of its fields is empty or a number. Fields in double quotes may
 * hold commas and doubled quotes, not line ends. Writes /outputs/columns.csv and
 * /outputs/report.txt, prints the report. Exit status: 0, 1 when a file cannot be read or written,
 * 2 for wrong usage, 3 when there was nothing to read, 4 for a malformed table.
 */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_COLUMNS 64
#define MAX_GROUPS 64
#define MAX_LINE 4096
#define MAX_NAME 64
#define MAX_FILES 256

struct statistics {
    unsigned long count, missing;
    double minimum, maximum, mean, squares;
};

static char names[MAX_COLUMNS][MAX_NAME];
static char groups[MAX_GROUPS][MAX_NAME];
static int numeric[MAX_COLUMNS];
/* The last row holds every value, the others those of one group. */
static struct statistics cells[MAX_GROUPS + 1][MAX_COLUMNS];
static int columns, group_count, tables;
static const char *group_by;
static FILE *report, *output;

static void fail(const char *what) {
    fprintf(stderr, "csvstats: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void malformed(const char *path, unsigned long line, const char *why) {
    fprintf(stderr, "csvstats: %s:%lu: %s\n", path, line, why);
    exit(4);
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...) {
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    puts(line);
    fprintf(report, "%s\n", line);
}

/* Cuts a line into fields in place. Returns how many, or -1 (too many, or an open quote). */
static int split(char *line, char **fields) {
    int count = 0;
    char *read = line, *write = line;
    for (;;) {
        if (count == MAX_COLUMNS)
            return -1;
        fields[count++] = write;
        if (*read == '"') {
            for (read++;; read++) {
                if (*read == 0)
                    return -1;
                if (*read == '"' && *++read != '"')
                    break;
                *write++ = *read;
            }
        }
        while (*read && *read != ',')
            *write++ = *read++;
        int more = *read++ == ',';
        *write++ = 0;
        if (!more)
            return count;
    }
}

/* Welford's running mean and sum of squared differences. */
static void add(struct statistics *to, double value) {
    if (to->count == 0 || value < to->minimum)
        to->minimum = value;
    if (to->count == 0 || value > to->maximum)
        to->maximum = value;
    to->count++;
    double step = value - to->mean;
    to->mean += step / (double)to->count;
    to->squares += step * (value - to->mean);
}

static int group_of(const char *value, const char *path, unsigned long line) {
    for (int i = 0; i < group_count; i++)
        if (strcmp(groups[i], value) == 0)
            return i;
    if (group_count == MAX_GROUPS)
        malformed(path, line, "too many groups");
    if (strlen(value) >= MAX_NAME)
        malformed(path, line, "the name of a group is too long");
    strcpy(groups[group_count], value);
    return group_count++;
}

/* A CSV field; quoted where it has to be. */
static void put_field(const char *text) {
    if (!text[strcspn(text, ",\"\r\n")]) {
        fputs(text, output);
        return;
    }
    putc('"', output);
    for (; *text; text++) {
        if (*text == '"')
            putc('"', output);
        putc(*text, output);
    }
    putc('"', output);
}

static void put_rows(const char *path, const char *group, const struct statistics *row) {
    for (int c = 0; c < columns; c++) {
        const struct statistics *s = &row[c];
        if (!numeric[c] || s->count == 0)
            continue;
        double variance = s->count > 1 ? s->squares / (double)(s->count - 1) : 0;
        double deviation = __builtin_sqrt(variance);
        put_field(path);
        putc(',', output);
        put_field(group);
        putc(',', output);
        put_field(names[c]);
        fprintf(output, ",%lu,%lu,%.3f,%.3f,%.3f,%.3f\n", s->count, s->missing, s->minimum,
                s->maximum, s->mean, deviation);
        say("  %-14s %-14s %6lu %5lu %10.3f %10.3f %10.3f %9.3f", group, names[c], s->count,
            s->missing, s->minimum, s->maximum, s->mean, deviation);
    }
}

static void read_table(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file)
        fail(path);
    static char line[MAX_LINE];
    char *fields[MAX_COLUMNS];
    unsigned long number = 0;
    int group_column = -1;
    columns = group_count = 0;
    memset(cells, 0, sizeof cells);
    while (fgets(line, sizeof line, file)) {
        number++;
        size_t length = strlen(line);
        if (length + 1 == sizeof line)
            malformed(path, number, "the line is too long");
        while (length && (line[length - 1] == '\n' || line[length - 1] == '\r'))
            line[--length] = 0;
        if (length == 0)
            continue;
        int count = split(line, fields);
        if (count < 0)
            malformed(path, number, "an open quote, or too many columns");
        if (columns == 0) {
            columns = count;
            for (int c = 0; c < count; c++) {
                if (strlen(fields[c]) >= MAX_NAME)
                    malformed(path, number, "the name of a column is too long");
                strcpy(names[c], fields[c]);
                numeric[c] = 1;
                if (group_by && strcmp(group_by, names[c]) == 0)
                    group_column = c;
            }
            continue;
        }
        if (count != columns)
            malformed(path, number, "another number of fields than the first line");
        int group = group_column < 0 ? -1 : group_of(fields[group_column], path, number);
        for (int c = 0; c < columns; c++) {
            if (!numeric[c])
                continue;
            if (fields[c][0] == 0) {
                cells[MAX_GROUPS][c].missing++;
                if (group >= 0)
                    cells[group][c].missing++;
                continue;
            }
            char *end;
            double value = strtod(fields[c], &end);
            if (*end) {
                numeric[c] = 0;
                continue;
            }
            add(&cells[MAX_GROUPS][c], value);
            if (group >= 0)
                add(&cells[group][c], value);
        }
    }
    if (ferror(file))
        fail(path);
    fclose(file);
    say("%s: %lu rows, %d columns", path, number ? number - 1 : 0, columns);
    say("  %-14s %-14s %6s %5s %10s %10s %10s %9s", "group", "column", "count", "gaps", "minimum",
        "maximum", "mean", "deviation");
    put_rows(path, "all", cells[MAX_GROUPS]);
    for (int g = 0; g < group_count; g++)
        put_rows(path, groups[g], cells[g]);
    tables++;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void read_inputs(void) {
    DIR *directory = opendir("/inputs");
    if (!directory)
        fail("/inputs");
    static char *found[MAX_FILES];
    int count = 0;
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        size_t length = strlen(entry->d_name);
        if (length <= 4 || strcmp(entry->d_name + length - 4, ".csv") != 0)
            continue;
        if (count == MAX_FILES) {
            errno = E2BIG;
            fail("/inputs");
        }
        char *path = malloc(length + sizeof "/inputs/");
        if (!path)
            fail("memory");
        strcpy(path, "/inputs/");
        strcat(path, entry->d_name);
        found[count++] = path;
    }
    closedir(directory);
    if (count)
        qsort(found, (size_t)count, sizeof *found, by_name);
    for (int i = 0; i < count; i++)
        read_table(found[i]);
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

int main(int argc, char **argv) {
    int at = 1;
    group_by = getenv("CSVSTATS_GROUP");
    if (at < argc && strcmp(argv[at], "-g") == 0) {
        if (at + 1 == argc) {
            fputs("usage: csvstats [-g COLUMN] [FILE]...\n", stderr);
            return 2;
        }
        group_by = argv[at + 1];
        at += 2;
    }
    report = create("/outputs/report.txt");
    output = create("/outputs/columns.csv");
    fputs("table,group,column,count,missing,minimum,maximum,mean,deviation\n", output);
    if (at == argc)
        read_inputs();
    for (; at < argc; at++)
        read_table(argv[at]);
    finish(output, "/outputs/columns.csv");
    finish(report, "/outputs/report.txt");
    if (tables == 0) {
        fputs("csvstats: no table in /inputs\n", stderr);
        return 3;
    }
    return 0;
}
