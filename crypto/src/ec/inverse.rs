//! The inverse modulo an odd number, by the division steps of Bernstein and Yang ("Fast constant-time gcd computation
//! and modular inversion", 2019), 29 at a time and in variable time.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "every index is below the number of limbs; the factors of 29 steps are within ±2^29 and limbs within \
              ±2^30, so that sums of three products and a carry stay within ±2^61"
)]

use super::limbs::{BITS, MASK};

/// A number, the least significant limb first. Limbs have [`BITS`] bits, and the last one has the sign.
type Limbs<const LENGTH: usize> = [i64; LENGTH];

/// An odd modulus of so many limbs.
#[derive(Debug)]
pub(super) struct Modulus<const LENGTH: usize> {
    limbs: Limbs<LENGTH>,
    /// Its inverse modulo 2^29.
    inverse: i64,
}

/// What 29 steps do: f becomes (u·f + v·g) / 2^29, and g becomes (q·f + r·g) / 2^29.
struct Steps {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

/// The inverse of an odd number modulo 2^32.
pub(super) const fn of_word(number: u32) -> u32 {
    // Each round doubles the bits that are right, of which there are three at first.
    let mut inverse = number;
    let mut round = 0;
    while round < 4 {
        inverse = inverse.wrapping_mul(2_u32.wrapping_sub(number.wrapping_mul(inverse)));
        round += 1;
    }
    inverse
}

impl<const LENGTH: usize> Modulus<LENGTH> {
    /// Of numbers of b bits the steps reach zero after (49 b + 57) / 17 at most (§11 of the paper).
    const BATCHES: usize = ((49 * 29 * LENGTH + 57) / 17).div_ceil(29);

    /// The modulus with these limbs, none of them negative.
    pub(super) const fn new(limbs: Limbs<LENGTH>) -> Self {
        Self {
            limbs,
            inverse: of_word(limbs[0] as u32) as i64 & MASK,
        }
    }

    /// The inverse of a number below the modulus; `None` when it has none.
    pub(super) fn inverse(&self, number: Limbs<LENGTH>) -> Option<Limbs<LENGTH>> {
        let mut f = self.limbs;
        let mut g = number;
        let mut d = [0; LENGTH];
        let mut e = [0; LENGTH];
        e[0] = 1;
        let mut eta = -1;
        for _ in 0..Self::BATCHES {
            let steps;
            (eta, steps) = Steps::take(eta, f[0], g[0]);
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
        while d[LENGTH - 1] < 0 {
            d = carried(add(&d, &self.limbs));
        }
        if is_one(&f) {
            return Some(d);
        }
        let negative = carried(add(&self.limbs, &d.map(|limb| -limb)));
        is_one(&carried(f.map(|limb| -limb))).then_some(negative)
    }

    /// Takes the steps on d and e modulo the modulus, so that both stay above -2 times it and below 1 time.
    fn update(&self, steps: &Steps, d: &mut Limbs<LENGTH>, e: &mut Limbs<LENGTH>) {
        let Steps { u, v, q, r } = *steps;
        let (negative_d, negative_e) = (d[LENGTH - 1] >> 63, e[LENGTH - 1] >> 63);
        let mut times_d = (u & negative_d) + (v & negative_e);
        let mut times_e = (q & negative_d) + (r & negative_e);
        let mut carry_d = u * d[0] + v * e[0];
        let mut carry_e = q * d[0] + r * e[0];
        // So many times the modulus that the lowest limb becomes 0.
        times_d -= (self.inverse * (carry_d & MASK) + times_d) & MASK;
        times_e -= (self.inverse * (carry_e & MASK) + times_e) & MASK;
        carry_d = (carry_d + self.limbs[0] * times_d) >> BITS;
        carry_e = (carry_e + self.limbs[0] * times_e) >> BITS;
        for index in 1..LENGTH {
            let (limb_d, limb_e, modulus) = (d[index], e[index], self.limbs[index]);
            carry_d += u * limb_d + v * limb_e + modulus * times_d;
            carry_e += q * limb_d + r * limb_e + modulus * times_e;
            d[index - 1] = carry_d & MASK;
            e[index - 1] = carry_e & MASK;
            carry_d >>= BITS;
            carry_e >>= BITS;
        }
        d[LENGTH - 1] = carry_d;
        e[LENGTH - 1] = carry_e;
    }
}

impl Steps {
    /// Finds what the next 29 steps do, for which the lowest limbs of f and g suffice. `eta` is what the paper calls -δ.
    #[inline(always)]
    fn take(mut eta: i32, f: i64, g: i64) -> (i32, Self) {
        let (mut u, mut v, mut q, mut r) = (1_i32, 0_i32, 0_i32, 1_i32);
        let (mut f, mut g) = (f as i32, g as i32);
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
    fn update<const LENGTH: usize>(&self, f: &mut Limbs<LENGTH>, g: &mut Limbs<LENGTH>) {
        let Self { u, v, q, r } = *self;
        let mut carry_f = (u * f[0] + v * g[0]) >> BITS;
        let mut carry_g = (q * f[0] + r * g[0]) >> BITS;
        for index in 1..LENGTH {
            let (limb_f, limb_g) = (f[index], g[index]);
            carry_f += u * limb_f + v * limb_g;
            carry_g += q * limb_f + r * limb_g;
            f[index - 1] = carry_f & MASK;
            g[index - 1] = carry_g & MASK;
            carry_f >>= BITS;
            carry_g >>= BITS;
        }
        f[LENGTH - 1] = carry_f;
        g[LENGTH - 1] = carry_g;
    }
}

fn is_one(limbs: &[i64]) -> bool {
    limbs
        .split_first()
        .is_some_and(|(first, rest)| *first == 1 && rest.iter().all(|limb| *limb == 0))
}

fn add<const LENGTH: usize>(a: &Limbs<LENGTH>, b: &Limbs<LENGTH>) -> Limbs<LENGTH> {
    core::array::from_fn(|index| a[index] + b[index])
}

/// Moves what is above the bits of each limb into the next one.
#[inline(always)]
fn carried<const LENGTH: usize>(mut limbs: Limbs<LENGTH>) -> Limbs<LENGTH> {
    for index in 1..LENGTH {
        limbs[index] += limbs[index - 1] >> BITS;
        limbs[index - 1] &= MASK;
    }
    limbs
}
