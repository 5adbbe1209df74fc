//! Counts per cause on disk: a map from the cause's name to its count, zeros left out.

macro_rules! by_name {
    ($module:ident, $cause:ty) => {
        /// For `#[serde(with = …)]` on an array indexed by this cause.
        pub mod $module {
            use std::collections::BTreeMap;

            use serde::{Deserialize, Deserializer, Serializer};

            type Cause = $cause;

            /// Array → map.
            ///
            /// # Errors
            /// Those of the serializer.
            pub fn serialize<S: Serializer>(
                counts: &[u64; Cause::COUNT],
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                let named = Cause::ALL
                    .iter()
                    .map(|cause| (cause.name(), counts[cause.index()]));
                serializer.collect_map(named.filter(|(_, count)| *count > 0))
            }

            /// Map → array.
            ///
            /// # Errors
            /// When a name is not that of a cause.
            pub fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<[u64; Cause::COUNT], D::Error> {
                let mut counts = [0; Cause::COUNT];
                for (cause, count) in BTreeMap::<Cause, u64>::deserialize(deserializer)? {
                    counts[cause.index()] = count;
                }
                Ok(counts)
            }
        }
    };
}

by_name!(failures, crate::cause::ConnectFailure);
by_name!(ends, crate::cause::SessionEnd);
