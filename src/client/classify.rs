//! From errors to causes, where they are met. Pure.
//!
//! Causes are `Copy` and the error is dropped: its text never becomes a key.

use std::io::{self, ErrorKind};

use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;

use crate::cause::{ConnectFailure, SessionEnd};

const EMFILE: i32 = rustix::io::Errno::MFILE.raw_os_error();
const ENFILE: i32 = rustix::io::Errno::NFILE.raw_os_error();

/// The cause for an error of the socket during an attempt, timeouts of our own aside.
pub fn connect_failure(error: &io::Error) -> ConnectFailure {
    match error.kind() {
        ErrorKind::ConnectionRefused => ConnectFailure::Refused,
        // The kernel's own limit on SYN retries, when it is shorter than the handshake timeout.
        ErrorKind::TimedOut => ConnectFailure::ConnectTimeout,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => ConnectFailure::Unreachable,
        // A write after the peer's RST was read is EPIPE.
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            ConnectFailure::Reset
        }
        ErrorKind::UnexpectedEof => ConnectFailure::Eof,
        // bind() without a free port says EADDRINUSE, connect() says EADDRNOTAVAIL.
        ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse => ConnectFailure::LocalPorts,
        _ => match error.raw_os_error() {
            Some(EMFILE | ENFILE) => ConnectFailure::LocalFiles,
            _ => ConnectFailure::Other,
        },
    }
}

/// The end for an error of an established session.
///
/// A close frame is a message, not an error: whoever sees one takes [`SessionEnd::from_close_code`] first. The errors
/// that tungstenite gives after a close frame become [`SessionEnd::CloseOther`], since they no longer carry its code.
pub fn session_end(error: &Error) -> SessionEnd {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => SessionEnd::CloseOther,
        Error::Io(error) => match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
                SessionEnd::Reset
            }
            ErrorKind::UnexpectedEof => SessionEnd::Eof,
            _ => SessionEnd::Other,
        },
        // tungstenite's name misleads: it says so for a FIN without a close frame.
        Error::Protocol(
            ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete,
        ) => SessionEnd::Eof,
        Error::Protocol(ProtocolError::SendAfterClosing) => SessionEnd::CloseOther,
        Error::Protocol(_) => SessionEnd::Protocol,
        // A frame longer than we take. Garbage mostly ends here: its length is checked before its flags.
        Error::Capacity(_) | Error::Utf8(_) | Error::AttackAttempt => SessionEnd::Protocol,
        Error::WriteBufferFull(_) | Error::Tls(_) | Error::Url(_) => SessionEnd::Other,
    }
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::error::{CapacityError, UrlError};

    use super::*;

    #[test]
    fn socket_errors_of_an_attempt_have_causes() {
        use rustix::io::Errno;
        for (errno, want) in [
            (Errno::CONNREFUSED, ConnectFailure::Refused),
            (Errno::TIMEDOUT, ConnectFailure::ConnectTimeout),
            (Errno::HOSTUNREACH, ConnectFailure::Unreachable),
            (Errno::NETUNREACH, ConnectFailure::Unreachable),
            (Errno::CONNRESET, ConnectFailure::Reset),
            (Errno::PIPE, ConnectFailure::Reset),
            (Errno::CONNABORTED, ConnectFailure::Reset),
            (Errno::ADDRNOTAVAIL, ConnectFailure::LocalPorts),
            (Errno::ADDRINUSE, ConnectFailure::LocalPorts),
            (Errno::MFILE, ConnectFailure::LocalFiles),
            (Errno::NFILE, ConnectFailure::LocalFiles),
            (Errno::PERM, ConnectFailure::Other),
            (Errno::NOBUFS, ConnectFailure::Other),
        ] {
            assert_eq!(connect_failure(&errno.into()), want, "{errno}");
        }
        assert_eq!(
            connect_failure(&ErrorKind::UnexpectedEof.into()),
            ConnectFailure::Eof
        );
    }

    #[test]
    fn session_errors_have_ends() {
        let io = |kind: ErrorKind| Error::Io(kind.into());
        for (error, want) in [
            (Error::ConnectionClosed, SessionEnd::CloseOther),
            (Error::AlreadyClosed, SessionEnd::CloseOther),
            (io(ErrorKind::ConnectionReset), SessionEnd::Reset),
            (io(ErrorKind::BrokenPipe), SessionEnd::Reset),
            (io(ErrorKind::ConnectionAborted), SessionEnd::Reset),
            (io(ErrorKind::UnexpectedEof), SessionEnd::Eof),
            (io(ErrorKind::TimedOut), SessionEnd::Other),
            (
                Error::Capacity(CapacityError::MessageTooLong {
                    size: 2,
                    max_size: 1,
                }),
                SessionEnd::Protocol,
            ),
            (
                Error::Capacity(CapacityError::TooManyHeaders),
                SessionEnd::Protocol,
            ),
            (
                Error::WriteBufferFull(Box::new(Message::text("x"))),
                SessionEnd::Other,
            ),
            (Error::Utf8("x".into()), SessionEnd::Protocol),
            (Error::AttackAttempt, SessionEnd::Protocol),
            (Error::Url(UrlError::NoHostName), SessionEnd::Other),
        ] {
            assert_eq!(session_end(&error), want, "{error}");
        }
    }

    #[test]
    fn broken_protocol_is_told_from_its_end() {
        for (error, want) in [
            (ProtocolError::ResetWithoutClosingHandshake, SessionEnd::Eof),
            (ProtocolError::HandshakeIncomplete, SessionEnd::Eof),
            (ProtocolError::SendAfterClosing, SessionEnd::CloseOther),
            (ProtocolError::ReceivedAfterClosing, SessionEnd::Protocol),
            (ProtocolError::NonZeroReservedBits, SessionEnd::Protocol),
            (ProtocolError::UnmaskedFrameFromClient, SessionEnd::Protocol),
            (ProtocolError::MaskedFrameFromServer, SessionEnd::Protocol),
            (ProtocolError::FragmentedControlFrame, SessionEnd::Protocol),
            (ProtocolError::ControlFrameTooBig, SessionEnd::Protocol),
            (
                ProtocolError::UnknownControlFrameType(11),
                SessionEnd::Protocol,
            ),
            (ProtocolError::UnknownDataFrameType(3), SessionEnd::Protocol),
            (ProtocolError::UnexpectedContinueFrame, SessionEnd::Protocol),
            (ProtocolError::InvalidOpcode(16), SessionEnd::Protocol),
            (ProtocolError::InvalidCloseSequence, SessionEnd::Protocol),
            (ProtocolError::JunkAfterRequest, SessionEnd::Protocol),
        ] {
            let error = Error::Protocol(error);
            assert_eq!(session_end(&error), want, "{error}");
        }
    }
}
