//! Random bytes of the kernel, asked for in pieces.
use ring::rand::{SecureRandom, SystemRandom};

use crate::stream::Entropy;

/// Bytes asked for at once.
const BUFFER_BYTES: usize = 1024;

pub struct SystemEntropy {
    source: SystemRandom,
    buffer: [u8; BUFFER_BYTES],
    /// Bytes of the buffer that were handed out (and erased).
    used: usize,
}

impl SystemEntropy {
    pub fn new() -> SystemEntropy {
        SystemEntropy {
            source: SystemRandom::new(),
            buffer: [0; BUFFER_BYTES],
            used: BUFFER_BYTES,
        }
    }
}

impl Default for SystemEntropy {
    fn default() -> SystemEntropy {
        SystemEntropy::new()
    }
}

impl Entropy for SystemEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.used == BUFFER_BYTES {
                self.source
                    .fill(&mut self.buffer)
                    .expect("the kernel has randomness");
                self.used = 0;
            }
            if let Some(random) = self.buffer.get_mut(self.used) {
                *byte = std::mem::take(random);
            }
            self.used += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_handed_out_twice() {
        let mut entropy = SystemEntropy::new();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..400 {
            let mut bytes = [0; 16];
            entropy.fill(&mut bytes);
            assert!(seen.insert(bytes));
        }
    }
}
