/* Standard streams through libc: lines in, lines out, both outputs, formats, end of file. */
#include <ctype.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
    char line[64];
    int number = 0;
    while (fgets(line, sizeof line, stdin)) {
        for (char *at = line; *at; at++)
            *at = (char)toupper((unsigned char)*at);
        printf("%3d %s", ++number, line);
    }
    printf("\nend of file: %s\n", feof(stdin) ? "yes" : "no");
    printf("read after the end: %d\n", (int)read(0, line, sizeof line));
    printf("%5.2f|%-8s|%08x|%+d|%e|%g|%lld\n", 3.14159, "left", 0xbeefu, 42, 12345.678, 1e-7,
           -9007199254740993ll);
    fprintf(stderr, "%d lines\n", number);
    fflush(stdout);
    ssize_t wrote = write(1, "no buffer\n", 10);
    fprintf(stderr, "wrote %d\n", (int)wrote);
    return 0;
}
