/* br_table: a byte-code machine with a stack runs a loop of n rounds (a linear congruential step, a
 * branch on one bit of it, memory cells and shuffles). */
#include <stdint.h>

enum op { PUSH, LOAD, STORE, ADD, SUB, MUL, AND, XOR, SHR, DUP, SWAP, DROP, JUMP, JUMP_IF_ZERO,
          LESS, HALT };

/* cells: 0 the counter, 1 the seed, 2 and 3 the results, 4 the number of rounds */
static const uint8_t program[] = {
    /*  0 */ LOAD, 0, LOAD, 4, LESS, JUMP_IF_ZERO, 55,
    /*  7 */ LOAD, 1, PUSH, 109, MUL, PUSH, 57, ADD, DUP, STORE, 1,
    /* 18 */ PUSH, 7, SHR, PUSH, 1, AND, JUMP_IF_ZERO, 38,
    /* 26 */ LOAD, 2, LOAD, 1, XOR, PUSH, 3, ADD, STORE, 2, JUMP, 46,
    /* 38 */ LOAD, 3, LOAD, 1, SWAP, SUB, STORE, 3,
    /* 46 */ LOAD, 0, PUSH, 1, ADD, STORE, 0, JUMP, 0,
    /* 55 */ LOAD, 2, LOAD, 3, XOR, DUP, DROP, HALT,
};

int32_t run(int32_t n) {
    uint32_t stack[16], cells[8] = {0, 2463534242u, 0, 0, (uint32_t)n, 0, 0, 0};
    uint32_t *top = stack;
    const uint8_t *at = program;
    for (;;) {
        uint32_t kept;
        switch ((enum op)*at++) {
        case PUSH: *top++ = *at++; break;
        case LOAD: *top++ = cells[*at++ & 7]; break;
        case STORE: cells[*at++ & 7] = *--top; break;
        case ADD: top--; top[-1] += *top; break;
        case SUB: top--; top[-1] -= *top; break;
        case MUL: top--; top[-1] *= *top; break;
        case AND: top--; top[-1] &= *top; break;
        case XOR: top--; top[-1] ^= *top; break;
        case SHR: top--; top[-1] >>= *top & 31; break;
        case DUP: *top = top[-1]; top++; break;
        case SWAP: kept = top[-1]; top[-1] = top[-2]; top[-2] = kept; break;
        case DROP: top--; break;
        case JUMP: at = program + *at; break;
        case JUMP_IF_ZERO: at = *--top ? at + 1 : program + *at; break;
        case LESS: top--; top[-1] = top[-1] < *top; break;
        case HALT: return (int32_t)top[-1];
        }
    }
}
