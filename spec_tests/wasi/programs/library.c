/* The C library as programs use it: streams on files, formatted input and output, sorting,
 * allocation, dates, a temporary name, directories. */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void) {
    FILE *file = fopen("/outputs/numbers.txt", "w+");
    if (!file)
        return 70;
    for (int i = 0; i < 10; i++)
        fprintf(file, "%d %.4f\n", i, sqrt(i) * (i % 2 ? -1 : 1));
    rewind(file);
    double values[10];
    int number, count = 0;
    while (count < 10 && fscanf(file, "%d %lf", &number, &values[count]) == 2)
        count++;
    fclose(file);
    qsort(values, (size_t)count, sizeof *values, by_value);
    for (int i = 0; i < count; i++)
        printf("%g ", values[i]);
    printf("\n");

    errno = 0;
    printf("missing: %s\n", fopen("/inputs/none", "r") ? "opened" : strerror(errno));
    printf("outside: %s\n", fopen("/etc/passwd", "r") ? "opened" : strerror(errno));

    char *block = NULL;
    for (size_t size = 1; size <= 1u << 20; size *= 4) {
        block = realloc(block, size);
        if (!block)
            return 71;
        memset(block, (int)size & 255, size);
    }
    free(block);

    time_t when = 1234567890;
    struct tm *parts = gmtime(&when);
    char text[64];
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %a %j", parts);
    printf("%s\n", text);

    mkdir("/outputs/tree", 0777);
    mkdir("/outputs/tree/branch", 0777);
    file = fopen("/outputs/tree/branch/leaf", "a");
    fputs("leaf", file);
    fclose(file);
    file = fopen("/outputs/tree/branch/leaf", "a");
    fputs("+more", file);
    printf("appended at %ld\n", ftell(file));
    fclose(file);
    struct stat status;
    printf("stat %d, %lld bytes\n", stat("/outputs/tree/branch/leaf", &status),
           (long long)status.st_size);
    printf("rename %d\n", rename("/outputs/tree/branch/leaf", "/outputs/tree/leaf"));
    printf("rmdir %d\n", rmdir("/outputs/tree/branch"));
    DIR *directory = opendir("/outputs/tree");
    struct dirent *entry;
    while ((entry = readdir(directory)))
        if (entry->d_name[0] != '.')
            printf("entry %s\n", entry->d_name);
    closedir(directory);
    printf("truncate %d\n", truncate("/outputs/tree/leaf", 4));
    file = fopen("/outputs/tree/leaf", "r");
    printf("%s\n", fgets(text, sizeof text, file));
    fclose(file);
    printf("cwd %s\n", getcwd(text, sizeof text));
    return 0;
}
