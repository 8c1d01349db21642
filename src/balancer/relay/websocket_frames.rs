//! Where the frames of a WebSocket end (RFC 6455, section 5.2). Pure.
//!
//! Only at the end of a frame can the balancer add one of its own: a close frame.

/// Bytes of a frame before its length and mask.
const FIRST_BYTES: u64 = 2;

/// The bytes of one direction, as they pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct WebSocketFrames {
    /// Bytes of the current frame's head so far; the mask is counted as payload.
    head: u64,
    /// Length of the head, once that is known.
    head_length: u64,
    is_masked: bool,
    /// What the head says about the length so far.
    length: u64,
    /// Bytes of the payload that are still to come.
    left: u64,
}

impl WebSocketFrames {
    /// These bytes pass.
    pub(super) fn note(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let skipped = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left -= skipped as u64;
                bytes = &bytes[skipped..];
            } else {
                self.note_head(*first);
                bytes = rest;
            }
        }
    }

    /// Whether the last frame is complete.
    pub(super) fn is_at_boundary(&self) -> bool {
        self.head == 0 && self.left == 0
    }

    fn note_head(&mut self, byte: u8) {
        match self.head {
            0 => {}
            1 => {
                self.is_masked = byte & 0x80 != 0;
                self.length = 0;
                self.head_length = match byte & 0x7f {
                    126 => FIRST_BYTES + 2,
                    127 => FIRST_BYTES + 8,
                    length => {
                        self.length = u64::from(length);
                        FIRST_BYTES
                    }
                };
            }
            _ => self.length = self.length << 8 | u64::from(byte),
        }
        self.head += 1;
        if self.head >= FIRST_BYTES && self.head == self.head_length {
            self.head = 0;
            let mask = if self.is_masked { 4 } else { 0 };
            self.left = self.length.saturating_add(mask);
        }
    }
}

/// What each side is sent when its WebSocket ends in a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::balancer) struct CloseFrames {
    pub(in crate::balancer) to_client: &'static [u8],
    pub(in crate::balancer) to_endpoint: &'static [u8],
}

/// A close frame with code 1001, going away. Clients mask what they send; a mask of zeros changes nothing.
pub(in crate::balancer) const GOING_AWAY: CloseFrames =
    CloseFrames { to_client: &[0x88, 2, 0x03, 0xe9], to_endpoint: &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9] };

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(length: usize, is_masked: bool) -> Vec<u8> {
        let mask_bit = if is_masked { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match length {
            0..=125 => frame.push(length as u8 | mask_bit),
            126..=65_535 => {
                frame.push(126 | mask_bit);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(127 | mask_bit);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(vec![0xff; length + if is_masked { 4 } else { 0 }]);
        frame
    }

    proptest! {
        #[test]
        fn frames_end_where_their_heads_say(
            lengths in prop::collection::vec((prop_oneof![0_usize..130, 65_530_usize..65_540], any::<bool>()), 0..6),
            cut in 1_usize..9_000,
        ) {
            let mut ends = vec![0];
            let mut bytes = Vec::new();
            for (length, is_masked) in lengths {
                bytes.extend(frame(length, is_masked));
                ends.push(bytes.len());
            }
            let mut frames = WebSocketFrames::default();
            let mut passed = 0;
            for piece in bytes.chunks(cut) {
                frames.note(piece);
                passed += piece.len();
                prop_assert_eq!(frames.is_at_boundary(), ends.contains(&passed), "{}", passed);
            }
        }
    }

    #[test]
    fn close_frames_are_whole_for_both_sides() {
        for frame in [GOING_AWAY.to_client, GOING_AWAY.to_endpoint] {
            let mut frames = WebSocketFrames::default();
            frames.note(frame);
            assert!(frames.is_at_boundary(), "{frame:?}");
            frames.note(&frame[..3]);
            assert!(!frames.is_at_boundary(), "{frame:?}");
        }
        assert_eq!(u16::from_be_bytes([0x03, 0xe9]), 1001);
    }

    #[test]
    fn frame_of_the_greatest_length_does_not_overflow() {
        let mut frames = WebSocketFrames::default();
        frames.note(&[0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        frames.note(&[0; 100]);
        assert!(!frames.is_at_boundary());
    }
}
