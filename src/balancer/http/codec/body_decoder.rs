//! Reads the body of a message. Pure.

use bytes::BytesMut;
use http::HeaderMap;
use http_body::SizeHint;

use super::chunked::{ChunkedDecoder, take_up_to};
use super::decoded_body::{BodyError, DecodedBody};
use super::framing::BodyFraming;

/// How much of a body is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::balancer::http) struct BodyDecoder(BodyState);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyState {
    Length(u64),
    Chunked(ChunkedDecoder),
    UntilClose,
    Ended,
}

impl BodyDecoder {
    /// Of a message that has been read.
    pub(in crate::balancer::http) const ENDED: Self = Self(BodyState::Ended);

    pub(in crate::balancer::http) fn new(framing: BodyFraming) -> Self {
        Self(match framing {
            BodyFraming::Empty | BodyFraming::Length(0) => BodyState::Ended,
            BodyFraming::Length(length) => BodyState::Length(length),
            BodyFraming::Chunked => BodyState::Chunked(ChunkedDecoder::Size),
            BodyFraming::UntilClose => BodyState::UntilClose,
        })
    }

    /// Whether all of it has been taken.
    pub(in crate::balancer::http) fn is_ended(&self) -> bool {
        self.0 == BodyState::Ended
    }

    /// Takes the next piece from the buffer.
    pub(in crate::balancer::http) fn decode(
        &mut self,
        buffer: &mut BytesMut,
    ) -> Result<DecodedBody, BodyError> {
        match &mut self.0 {
            BodyState::Ended => Ok(DecodedBody::End(HeaderMap::new())),
            BodyState::Length(_) | BodyState::UntilClose if buffer.is_empty() => Ok(DecodedBody::NeedsMore),
            BodyState::UntilClose => Ok(DecodedBody::Data(buffer.split().freeze())),
            BodyState::Length(left) => {
                let data = take_up_to(buffer, *left);
                *left -= data.len() as u64;
                if *left == 0 {
                    self.0 = BodyState::Ended;
                }
                Ok(DecodedBody::Data(data))
            }
            BodyState::Chunked(chunked) => {
                let decoded = chunked.decode(buffer)?;
                if let DecodedBody::End(_) = decoded {
                    self.0 = BodyState::Ended;
                }
                Ok(decoded)
            }
        }
    }

    /// The connection has ended after what was decoded.
    pub(in crate::balancer::http) fn end_of_input(&mut self) -> Result<(), BodyError> {
        match self.0 {
            BodyState::Length(_) | BodyState::Chunked(_) => Err(BodyError::Incomplete),
            BodyState::UntilClose | BodyState::Ended => {
                self.0 = BodyState::Ended;
                Ok(())
            }
        }
    }

    /// How many bytes are still to come.
    pub(in crate::balancer::http) fn size_hint(&self) -> SizeHint {
        match self.0 {
            BodyState::Length(left) => SizeHint::with_exact(left),
            BodyState::Ended => SizeHint::with_exact(0),
            BodyState::Chunked(_) | BodyState::UntilClose => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(decoder: &mut BodyDecoder, buffer: &mut BytesMut) -> Vec<u8> {
        match decoder.decode(buffer).unwrap() {
            DecodedBody::Data(data) => data.to_vec(),
            DecodedBody::NeedsMore | DecodedBody::End(_) => panic!("no data"),
        }
    }

    #[test]
    fn body_decoder_takes_no_byte_of_the_next_message() {
        let mut decoder = BodyDecoder::new(BodyFraming::Length(5));
        let mut buffer = BytesMut::from("hel");
        assert_eq!(data(&mut decoder, &mut buffer), b"hel");
        assert!(matches!(decoder.decode(&mut buffer), Ok(DecodedBody::NeedsMore)));
        assert_eq!(decoder.size_hint().exact(), Some(2));
        buffer.extend_from_slice(b"loGET");
        assert_eq!(data(&mut decoder, &mut buffer), b"lo");
        assert!(decoder.is_ended() && buffer == b"GET"[..]);
        assert!(matches!(decoder.decode(&mut buffer), Ok(DecodedBody::End(_))));
    }

    #[test]
    fn body_decoder_accepts_the_end_of_the_connection_only_as_its_framing_says() {
        let rows = [
            (BodyFraming::Empty, Ok(())),
            (BodyFraming::Length(1), Err(BodyError::Incomplete)),
            (BodyFraming::Chunked, Err(BodyError::Incomplete)),
            (BodyFraming::UntilClose, Ok(())),
        ];
        for (framing, wanted) in rows {
            let mut decoder = BodyDecoder::new(framing);
            assert_eq!(decoder.end_of_input(), wanted, "{framing:?}");
            assert_eq!(decoder.is_ended(), wanted.is_ok(), "{framing:?}");
        }
    }
}
