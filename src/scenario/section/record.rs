//! `[record]`.

use crate::scenario::Record;
use crate::scenario::kind;
use crate::scenario::reader::Reader;

/// Less would have to be thinned all the time.
const LEAST: u32 = 64 << 10;
/// 4 GiB less a byte: far more than anybody looks through.
const MOST: u32 = u32::MAX;
/// A few hours of a fleet of thousands with a fault every minute.
const DEFAULT: u32 = 64 << 20;

pub(in crate::scenario) fn read(top: &mut Reader<'_>) -> Record {
    let mut table = top.table("record");
    let detail = table.get(
        "detail",
        kind::size_in(
            LEAST,
            MOST,
            "it is what the second-by-second record may take on disk, such as \"64MiB\"",
        ),
    );
    Record {
        detail: detail.or(DEFAULT).value,
    }
}
