// A little of everything, without an answer that floats could change.
const fib = (n) => (n < 2 ? n : fib(n - 1) + fib(n - 2));

class Vector {
    constructor(x, y) {
        this.x = x;
        this.y = y;
    }
    plus(other) {
        return new Vector(this.x + other.x, this.y + other.y);
    }
}

let seed = 1;
const random = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0);

const words = [];
for (let i = 0; i < 20000; i++) words.push("w" + (random() % 5000).toString(36));
const counts = new Map();
for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
const common = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 5);

let sum = new Vector(0, 0);
for (let i = 0; i < 50000; i++) sum = sum.plus(new Vector(i & 7, i % 11));

const numbers = Array.from({ length: 30000 }, () => random() % 100000);
numbers.sort((a, b) => a - b);
const text = words.join(" ").replace(/w(\w)(\w*)/g, (_, first, rest) => rest + first);
const copy = JSON.parse(JSON.stringify({ common, numbers: numbers.slice(0, 2000) }));

print(fib(24), sum.x, sum.y, numbers[15000], text.length, text.slice(0, 40));
print(JSON.stringify(copy.common), copy.numbers.reduce((a, b) => a + b), 3n ** 300n % 1000007n);
