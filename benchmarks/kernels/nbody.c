/* Doubles, division and square root: five bodies under gravity for n steps of 1/1024; the energy
 * at the end. The bodies are invented. */
#include <stdint.h>

#define BODIES 5

static double place[BODIES][3], speed[BODIES][3], mass[BODIES];

double run(int32_t n) {
    for (int i = 0; i < BODIES; i++) {
        mass[i] = i ? 0.25 / (double)i : 40.0;
        for (int k = 0; k < 3; k++) {
            place[i][k] = i ? (double)((i * 7 + k * 3) % 11) - 4.5 : 0;
            speed[i][k] = i ? (double)((i * 5 + k * 2) % 7) / 4 - 0.75 : 0;
        }
    }
    const double step = 1.0 / 1024;
    for (int32_t round = 0; round < n; round++) {
        for (int i = 0; i < BODIES; i++)
            for (int j = i + 1; j < BODIES; j++) {
                double x = place[i][0] - place[j][0], y = place[i][1] - place[j][1];
                double z = place[i][2] - place[j][2];
                double squared = x * x + y * y + z * z;
                double pull = step / (squared * __builtin_sqrt(squared));
                speed[i][0] -= x * mass[j] * pull;
                speed[i][1] -= y * mass[j] * pull;
                speed[i][2] -= z * mass[j] * pull;
                speed[j][0] += x * mass[i] * pull;
                speed[j][1] += y * mass[i] * pull;
                speed[j][2] += z * mass[i] * pull;
            }
        for (int i = 0; i < BODIES; i++)
            for (int k = 0; k < 3; k++)
                place[i][k] += step * speed[i][k];
    }
    double energy = 0;
    for (int i = 0; i < BODIES; i++) {
        double squared = 0;
        for (int k = 0; k < 3; k++)
            squared += speed[i][k] * speed[i][k];
        energy += mass[i] * squared / 2;
        for (int j = i + 1; j < BODIES; j++) {
            double apart = 0;
            for (int k = 0; k < 3; k++)
                apart += (place[i][k] - place[j][k]) * (place[i][k] - place[j][k]);
            energy -= mass[i] * mass[j] / __builtin_sqrt(apart);
        }
    }
    return energy;
}
