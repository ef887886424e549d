//! The inverse modulo an odd number, by the division steps of Bernstein and Yang ("Fast constant-time gcd computation
//! and modular inversion", 2019), thirty at a time and in variable time.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "every index is a constant below 9 or counts up to it; the factors of thirty steps are within ±2^30 and \
              limbs within ±2^30, so that sums of three products and a carry stay within ±2^62"
)]

use super::words::Words;

/// How many bits a limb has, and how many steps are taken at a time.
const BITS: u32 = 30;
const MASK: i64 = (1 << BITS) - 1;
/// A number in nine limbs, the least significant first; the last one has the sign.
type Limbs = [i64; 9];
/// Of 256-bit numbers the steps reach zero after 741 at most (§11 of the paper).
const BATCHES: u32 = 25;

/// An odd modulus.
pub(super) struct Modulus {
    limbs: Limbs,
    /// Its inverse modulo 2^30.
    inverse: i64,
}

/// What thirty steps do: f becomes (u·f + v·g) / 2^30, and g becomes (q·f + r·g) / 2^30.
struct Steps {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

impl Modulus {
    /// The modulus with these words, the least significant first.
    pub(super) const fn new(words: &[u32; 8]) -> Self {
        let mut limbs = [0; 9];
        let mut index = 0;
        while index < 9 {
            let start = 30 * index;
            // A limb is within two words.
            let mut pair = words[start / 32] as i64;
            if start / 32 + 1 < 8 {
                pair |= (words[start / 32 + 1] as i64) << 32;
            }
            limbs[index] = pair >> (start % 32) & MASK;
            index += 1;
        }
        // Each round doubles the bits that are right, of which there are three at first.
        let modulus = words[0];
        let mut inverse = modulus;
        let mut round = 0;
        while round < 4 {
            inverse = inverse.wrapping_mul(2_u32.wrapping_sub(modulus.wrapping_mul(inverse)));
            round += 1;
        }
        Self {
            limbs,
            inverse: inverse as i64 & MASK,
        }
    }

    /// The inverse of a number below the modulus; `None` when it has none.
    pub(super) fn inverse(&self, number: &Words) -> Option<Words> {
        let mut f = self.limbs;
        let mut g = number.limbs(BITS);
        let mut d = [0; 9];
        let mut e = [0; 9];
        e[0] = 1;
        let mut eta = -1;
        for _ in 0..BATCHES {
            let steps;
            (eta, steps) = Steps::take(eta, &f, &g);
            self.update(&steps, &mut d, &mut e);
            steps.update(&mut f, &mut g);
            if g.iter().all(|limb| *limb == 0) {
                break;
            }
        }
        if g.iter().any(|limb| *limb != 0) {
            return None;
        }
        // d times the number is f, which is 1 or -1 if there is an inverse. d is above -2 times the modulus and below it.
        while d[8] < 0 {
            d = carried(add(&d, &self.limbs));
        }
        let inverse = Words::from_limbs(&d, BITS);
        if is_one(&f) {
            return Some(inverse);
        }
        let modulus = Words::from_limbs(&self.limbs, BITS);
        is_one(&carried(f.map(|limb| -limb))).then(|| modulus.minus(&inverse).0)
    }

    /// Takes the steps on d and e modulo the modulus, so that both stay above -2 times it and below 1 time.
    fn update(&self, steps: &Steps, d: &mut Limbs, e: &mut Limbs) {
        let Steps { u, v, q, r } = *steps;
        let (negative_d, negative_e) = (d[8] >> 63, e[8] >> 63);
        let mut times_d = (u & negative_d) + (v & negative_e);
        let mut times_e = (q & negative_d) + (r & negative_e);
        let mut carry_d = u * d[0] + v * e[0];
        let mut carry_e = q * d[0] + r * e[0];
        // So many times the modulus that the lowest limb becomes 0.
        times_d -= (self.inverse * (carry_d & MASK) + times_d) & MASK;
        times_e -= (self.inverse * (carry_e & MASK) + times_e) & MASK;
        carry_d = (carry_d + self.limbs[0] * times_d) >> BITS;
        carry_e = (carry_e + self.limbs[0] * times_e) >> BITS;
        for index in 1..9 {
            let (limb_d, limb_e, modulus) = (d[index], e[index], self.limbs[index]);
            carry_d += u * limb_d + v * limb_e + modulus * times_d;
            carry_e += q * limb_d + r * limb_e + modulus * times_e;
            d[index - 1] = carry_d & MASK;
            e[index - 1] = carry_e & MASK;
            carry_d >>= BITS;
            carry_e >>= BITS;
        }
        d[8] = carry_d;
        e[8] = carry_e;
    }
}

impl Steps {
    /// Finds what the next thirty steps do, for which the lowest bits of f and g suffice. `eta` is what the paper
    /// calls -δ.
    fn take(mut eta: i32, f: &Limbs, g: &Limbs) -> (i32, Self) {
        let (mut u, mut v, mut q, mut r) = (1_i32, 0_i32, 0_i32, 1_i32);
        let (mut f, mut g) = (f[0] as i32, g[0] as i32);
        let mut left = BITS;
        loop {
            // All the steps that only halve g, of those that are left.
            let zeros = (g | -1 << left).trailing_zeros();
            g >>= zeros;
            u <<= zeros;
            v <<= zeros;
            eta -= zeros as i32;
            left -= zeros;
            if left == 0 {
                break;
            }
            if eta < 0 {
                eta = -eta;
                (f, g) = (g, f.wrapping_neg());
                (u, q) = (q, -u);
                (v, r) = (r, -v);
            }
            // f stays for eta + 1 steps. That many low bits of g go with one multiple of f: of six bits, this is
            // the inverse of -f.
            let bits = left.min(eta.unsigned_abs() + 1).min(6);
            let inverse = f.wrapping_mul(f.wrapping_mul(f).wrapping_sub(2));
            let times = g.wrapping_mul(inverse) & ((1 << bits) - 1);
            g = g.wrapping_add(f.wrapping_mul(times));
            q += u * times;
            r += v * times;
        }
        let [u, v, q, r] = [u, v, q, r].map(i64::from);
        (eta, Self { u, v, q, r })
    }

    /// Takes the steps on f and g.
    fn update(&self, f: &mut Limbs, g: &mut Limbs) {
        let Self { u, v, q, r } = *self;
        let mut carry_f = (u * f[0] + v * g[0]) >> BITS;
        let mut carry_g = (q * f[0] + r * g[0]) >> BITS;
        for index in 1..9 {
            let (limb_f, limb_g) = (f[index], g[index]);
            carry_f += u * limb_f + v * limb_g;
            carry_g += q * limb_f + r * limb_g;
            f[index - 1] = carry_f & MASK;
            g[index - 1] = carry_g & MASK;
            carry_f >>= BITS;
            carry_g >>= BITS;
        }
        f[8] = carry_f;
        g[8] = carry_g;
    }
}

fn is_one(limbs: &Limbs) -> bool {
    *limbs == [1, 0, 0, 0, 0, 0, 0, 0, 0]
}

fn add(a: &Limbs, b: &Limbs) -> Limbs {
    core::array::from_fn(|index| a[index] + b[index])
}

/// Moves what is above 30 bits of each limb into the next one.
fn carried(mut limbs: Limbs) -> Limbs {
    for index in 0..8 {
        limbs[index + 1] += limbs[index] >> BITS;
        limbs[index] &= MASK;
    }
    limbs
}
