//! Why an attempt failed and why a session ended: the closed vocabulary of every count, objective and report.
//!
//! Pure. Both enums are `Copy` and index fixed arrays, so that counting one costs an add. Where an error is met it is
//! turned into one of these and dropped; text never becomes a key.

use std::fmt;

macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every value, in the order in which reports list them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// How many values there are: the length of an array indexed by [`Self::index`].
            pub const COUNT: usize = Self::ALL.len();

            /// The word for it in objectives, result files and reports.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Position in [`Self::ALL`].
            pub const fn index(self) -> usize {
                self as usize
            }

            /// The value with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.name() == name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::from_name(&name).ok_or_else(|| serde::de::Error::custom(format!("unknown {} `{name}`", stringify!($name))))
            }
        }
    };
}

vocabulary! {
    /// Why one attempt to connect and upgrade did not become a session.
    ConnectFailure {
        /// Nobody listens (ECONNREFUSED): the proxy is down.
        Refused = "refused",
        /// No answer to the SYN before the handshake timeout: accept queue full, or a blackhole.
        ConnectTimeout = "connect_timeout",
        /// Host or network unreachable.
        Unreachable = "unreachable",
        /// Connected, but no complete response head before the handshake timeout.
        UpgradeTimeout = "upgrade_timeout",
        /// Connection reset (RST) before the response head was complete.
        Reset = "reset",
        /// Connection closed (FIN) before the response head was complete.
        Eof = "eof",
        /// 400 Bad Request.
        Status400 = "status_400",
        /// 403 Forbidden.
        Status403 = "status_403",
        /// 404 Not Found.
        Status404 = "status_404",
        /// 426 Upgrade Required: the Upgrade header did not reach the node.
        Status426 = "status_426",
        /// 429 Too Many Requests.
        Status429 = "status_429",
        /// 500 Internal Server Error.
        Status500 = "status_500",
        /// 502 Bad Gateway: no node could be reached.
        Status502 = "status_502",
        /// 503 Service Unavailable.
        Status503 = "status_503",
        /// 504 Gateway Timeout: a node did not answer the handshake in time.
        Status504 = "status_504",
        /// Any other status but 101.
        StatusOther = "status_other",
        /// The answer was no HTTP/1.1, or a 101 without a correct `Sec-WebSocket-Accept`.
        Protocol = "protocol",
        /// The harness ran out of source ports (EADDRNOTAVAIL). Never the target's fault.
        LocalPorts = "local_ports",
        /// The harness ran out of file descriptors (EMFILE, ENFILE). Never the target's fault.
        LocalFiles = "local_files",
        /// The harness gave the attempt up itself: the client left or the run ended.
        Abandoned = "abandoned",
        /// Any other error of the socket.
        Other = "other",
    }
}

vocabulary! {
    /// How an established session ended, as its client saw it.
    SessionEnd {
        /// TCP FIN without a close frame (browsers report 1006). nginx ends tunnels so, whatever its reason.
        Eof = "eof",
        /// TCP RST.
        Reset = "reset",
        /// The client's ping was not answered in time: a half-open or stalled tunnel.
        PongTimeout = "pong_timeout",
        /// Close frame 1000 from the other side.
        Close1000 = "close_1000",
        /// Close frame 1001, going away: an orderly shutdown of a node.
        Close1001 = "close_1001",
        /// Close frame 1008, policy violation.
        Close1008 = "close_1008",
        /// Close frame 1009, message too big.
        Close1009 = "close_1009",
        /// Close frame 1011, server error.
        Close1011 = "close_1011",
        /// Close frame 1012, service restart.
        Close1012 = "close_1012",
        /// Close frame 1013, try again later.
        Close1013 = "close_1013",
        /// Close frame with any other code, or with none.
        CloseOther = "close_other",
        /// The peer broke the WebSocket protocol.
        Protocol = "protocol",
        /// Any other error of the socket.
        Other = "other",
        /// A fault had the client drop its session with a RST.
        LocalReset = "local_reset",
        /// A fault had the client drop its session with a FIN and no close frame.
        LocalFin = "local_fin",
        /// A fault had the client forget its session, whose socket stays open.
        LocalVanish = "local_vanish",
        /// The client itself left: the plan said so or the run ended. Never counted as a disconnect.
        Local = "local",
    }
}

impl ConnectFailure {
    /// The failure for an HTTP status that is not 101.
    pub const fn from_status(status: u16) -> Self {
        match status {
            400 => Self::Status400,
            403 => Self::Status403,
            404 => Self::Status404,
            426 => Self::Status426,
            429 => Self::Status429,
            500 => Self::Status500,
            502 => Self::Status502,
            503 => Self::Status503,
            504 => Self::Status504,
            _ => Self::StatusOther,
        }
    }

    /// Did a complete HTTP response arrive? Then the proxy surely counted and logged the request.
    pub const fn was_answered(self) -> bool {
        matches!(
            self,
            Self::Status400
                | Self::Status403
                | Self::Status404
                | Self::Status426
                | Self::Status429
                | Self::Status500
                | Self::Status502
                | Self::Status503
                | Self::Status504
                | Self::StatusOther
        )
    }

    /// May the request have reached the proxy without an answer coming back? Such an attempt leaves the books of the
    /// other side undecided by one.
    pub const fn may_have_arrived(self) -> bool {
        matches!(
            self,
            Self::UpgradeTimeout
                | Self::Reset
                | Self::Eof
                | Self::Protocol
                | Self::Abandoned
                | Self::Other
        )
    }

    /// Is the harness itself to blame?
    pub const fn is_local(self) -> bool {
        matches!(self, Self::LocalPorts | Self::LocalFiles)
    }
}

impl SessionEnd {
    /// The end for a close frame that the other side sent first.
    pub const fn from_close_code(code: Option<u16>) -> Self {
        match code {
            Some(1000) => Self::Close1000,
            Some(1001) => Self::Close1001,
            Some(1008) => Self::Close1008,
            Some(1009) => Self::Close1009,
            Some(1011) => Self::Close1011,
            Some(1012) => Self::Close1012,
            Some(1013) => Self::Close1013,
            _ => Self::CloseOther,
        }
    }

    /// Was the session taken from the client (a disconnect) rather than left by it as planned? What a fault has a
    /// client do to itself counts as taken.
    pub const fn is_disconnect(self) -> bool {
        !matches!(self, Self::Local)
    }

    /// One sentence of what the client saw, for reports.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Eof => "TCP FIN, no close frame (browsers say 1006)",
            Self::Reset => "TCP RST",
            Self::PongTimeout => "no pong in time: half-open or stalled tunnel",
            Self::Close1000 => "close frame 1000, normal",
            Self::Close1001 => "close frame 1001, node going away",
            Self::Close1008 => "close frame 1008, policy violation",
            Self::Close1009 => "close frame 1009, message too big",
            Self::Close1011 => "close frame 1011, server error",
            Self::Close1012 => "close frame 1012, service restart",
            Self::Close1013 => "close frame 1013, try again later",
            Self::CloseOther => "close frame with another code or none",
            Self::Protocol => "WebSocket protocol broken by the peer",
            Self::Other => "another socket error",
            Self::LocalReset => "the fault had the client send a TCP RST",
            Self::LocalFin => "the fault had the client send a TCP FIN, no close frame",
            Self::LocalVanish => "the fault had the client vanish: no FIN, no RST",
            Self::Local => "the client left on its own",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_read_back() {
        for (i, cause) in SessionEnd::ALL.iter().enumerate() {
            assert_eq!(cause.index(), i);
            assert_eq!(SessionEnd::from_name(cause.name()), Some(*cause));
        }
        for (i, cause) in ConnectFailure::ALL.iter().enumerate() {
            assert_eq!(cause.index(), i);
            assert_eq!(ConnectFailure::from_name(cause.name()), Some(*cause));
        }
    }

    #[test]
    fn an_attempt_is_answered_undecided_or_never_arrived() {
        for cause in ConnectFailure::ALL {
            assert!(
                !(cause.was_answered() && cause.may_have_arrived()),
                "{cause}"
            );
        }
    }
}
