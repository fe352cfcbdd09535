//! Every limit of `src/tensor/limits.rs`: a file that breaks it, the problem that says so, and its row in docs/formats.md.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use weighbridge::tensor::{self, Settings, limits::*};
use weighbridge::terms::ProblemKind::{Hostile, Malformed, Missing};

use super::{Case, assert_problem, names, one_problem};

/// A row of the table: constants, what they bound, the limit in words, and what breaks it: a test of this room, or a file that
/// `make_malicious.py` made.
type Row = (&'static [&'static str], &'static str, String, &'static [&'static str]);

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

fn rows() -> Vec<Row> {
    vec![
        (
            &["HEADER_BYTES_MAX"],
            "header of a safetensors file, as in the reference implementation",
            format!("{} bytes", count(HEADER_BYTES_MAX)),
            &["a_header_length_beyond_the_limit_is_hostile"],
        ),
        (
            &["TENSORS_MAX"],
            "tensors in one checkpoint",
            count(TENSORS_MAX as u64),
            &["too_many_tensors", "tensors.gguf"],
        ),
        (&["FILES_MAX"], "files in one checkpoint", count(FILES_MAX as u64), &["too_many_files"]),
        (
            &["NAME_BYTES_MAX"],
            "a name of a tensor or file; no control characters or text-direction marks in it",
            format!("{} bytes", count(NAME_BYTES_MAX as u64)),
            &[
                "names_that_would_harm_are_refused_and_shown_tame",
                "file_names_that_would_harm_are_refused_and_shown_tame",
                "long_name.pt",
                "control_name.pt",
            ],
        ),
        (
            &["RANK_MAX"],
            "dimensions of a tensor",
            count(RANK_MAX as u64),
            &["lies_about_size_cost_one_tensor", "many_dimensions.pt"],
        ),
        (
            &["TENSOR_ELEMENTS_MAX"],
            "elements of one tensor; sums of offsets never overflow",
            "2^46".into(),
            &["a_tensor_of_too_many_elements", "overflow.gguf", "overflow.npy"],
        ),
        (
            &["NESTING_MAX"],
            "nesting of containers in a pickle; of JSON 128",
            count(NESTING_MAX as u64),
            &["deep_dicts.pt", "what_is_not_json_of_the_right_form_is_malformed"],
        ),
        (&["PICKLE_BYTES_MAX"], "a pickle", mebibytes(PICKLE_BYTES_MAX), &["a_pickle_that_is_too_long"]),
        (
            &["PICKLE_NODES_MAX"],
            "objects of a pickle",
            count(PICKLE_NODES_MAX as u64),
            &["a_pickle_of_too_many_objects"],
        ),
        (
            &["PICKLE_OPCODES_MAX"],
            "opcodes of a pickle",
            count(PICKLE_OPCODES_MAX),
            &["a_pickle_of_too_many_opcodes"],
        ),
        (
            &["PICKLE_STACK_MAX"],
            "objects on a pickle's stack",
            count(PICKLE_STACK_MAX as u64),
            &["a_pickle_whose_stack_is_too_deep"],
        ),
        (
            &["PICKLE_LINE_BYTES_MAX"],
            "a text that is kept of a pickle or a GGUF header",
            format!("{} KiB", PICKLE_LINE_BYTES_MAX >> 10),
            &["long_text.pt", "long_name.gguf"],
        ),
        (
            &["CALLABLES_TOLD_MAX"],
            "dangerous callables of one pickle that are told by name; the rest are counted",
            count(CALLABLES_TOLD_MAX as u64),
            &["many_callables_are_told_shortly"],
        ),
        (
            &["ARCHIVE_DIRECTORY_BYTES_MAX"],
            "a zip archive's directory",
            mebibytes(ARCHIVE_DIRECTORY_BYTES_MAX),
            &["a_directory_that_is_too_long"],
        ),
        (
            &["UNFOLDED_RATIO_MAX"],
            "an entry that claims to unfold",
            format!("{} times its size", count(UNFOLDED_RATIO_MAX)),
            &["bomb.pt"],
        ),
        (
            &["UNFOLDED_BYTES_MAX"],
            "an entry that is read at once",
            mebibytes(UNFOLDED_BYTES_MAX),
            &["an_entry_too_large_to_read_at_once"],
        ),
        (
            &["VIEWS_RATIO_MAX", "VIEWS_BYTES_FREE"],
            "what views and compressed arrays deliver in all",
            format!("{} times the file, or {}", VIEWS_RATIO_MAX, mebibytes(VIEWS_BYTES_FREE)),
            &["terabyte_of_one.pt", "bomb.npz"],
        ),
        (
            &["CHUNKS_MAX"],
            "chunks of one distributed tensor",
            count(CHUNKS_MAX as u64),
            &["a_tensor_of_too_many_chunks"],
        ),
        (
            &["ARRAY_HEADER_BYTES_MAX"],
            "header of a numpy array",
            format!("{} KiB", ARRAY_HEADER_BYTES_MAX >> 10),
            &["an_array_header_that_is_too_long"],
        ),
        (
            &["GGUF_HEADER_BYTES_MAX"],
            "header of a GGUF file",
            mebibytes(GGUF_HEADER_BYTES_MAX),
            &["a_gguf_header_that_is_too_long", "long_array.gguf"],
        ),
        (&["GGUF_KEYS_MAX"], "keys of a GGUF header", count(GGUF_KEYS_MAX), &["keys.gguf"]),
        (
            &["GGUF_NESTING_MAX"],
            "nesting of arrays in a GGUF header",
            count(GGUF_NESTING_MAX as u64),
            &["nested_arrays.gguf"],
        ),
        (
            &["PROBLEMS_MAX"],
            "problems told one by one; the rest are counted",
            count(PROBLEMS_MAX as u64),
            &["many_problems_are_counted"],
        ),
        (
            &["FILES_OPEN_MAX"],
            "files kept open; further ones are opened for each read",
            count(FILES_OPEN_MAX as u64),
            &["too_many_files"],
        ),
        (
            &["GATHER_BYTES_MAX"],
            "a piece that is read at once to pick strided elements from",
            format!("{} KiB", GATHER_BYTES_MAX >> 10),
            &["a_stride_wider_than_a_piece"],
        ),
        (
            &[],
            "ranges that overlap",
            "none".into(),
            &[
                "overlapping_ranges_are_hostile",
                "columns_that_overlap_or_leave_a_gap",
                "overlapping.pt",
                "overlap.gguf",
            ],
        ),
        (
            &[],
            "ranges that leave the file or overflow",
            "none".into(),
            &["lies_about_size_cost_one_tensor", "past_the_storage.pt", "wrap.pt", "far.gguf"],
        ),
        (
            &[],
            "entries of an archive that lead out of it, or are there twice",
            "none".into(),
            &["leads_out.pt", "absolute.pt", "link.pt", "two_pickles.pt"],
        ),
        (
            &[],
            "symbolic links out of the checkpoint, unless `follow_symlinks_out` is set",
            "none".into(),
            &["paths_and_links_that_lead_out_are_refused"],
        ),
        (
            &[],
            "named pipes, devices, sockets, directories: never opened",
            "none".into(),
            &["a_named_pipe_is_refused_without_waiting", "a_device_and_a_directory_are_refused"],
        ),
    ]
}

#[test]
fn the_document_lists_every_limit() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(root.join("src/tensor/limits.rs")).unwrap();
    let constants: BTreeSet<&str> =
        source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next()).collect();
    let listed: BTreeSet<&str> = rows().iter().flat_map(|row| row.0).copied().collect();
    assert_eq!(listed, constants, "a row for each constant of src/tensor/limits.rs");
    let tests = ["hostile.rs", "hostile/limits.rs", "hostile/safetensors.rs", "hostile/malicious.rs"];
    let tests = tests.map(|file| std::fs::read_to_string(root.join("tests").join(file)).unwrap()).concat();
    let mut table = String::from("| what | limit | in `limits.rs` | broken by |\n|---|---|---|---|\n");
    for (constants, what, limit, broken_by) in rows() {
        for name in broken_by {
            let is_file = root.join("tests/fixtures/tensor/malicious").join(name).exists();
            assert!(
                is_file || tests.contains(&format!("fn {name}()")),
                "{name} is neither a file nor a test"
            );
        }
        let code =
            |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let constants = if constants.is_empty() { "–".into() } else { code(constants) };
        writeln!(table, "| {what} | {limit} | {constants} | {} |", code(broken_by)).unwrap();
    }
    crate::doc::check("docs/formats.md", "limits", &table);
}

/// A safetensors file whose data are `data` bytes that are not written.
fn safetensors(header: &str, data: u64) -> Case {
    let case =
        Case::new("model.safetensors", &[&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat());
    lengthen(&case, 8 + header.len() as u64 + data);
    case
}

/// Makes the file that long without writing it.
fn lengthen(case: &Case, bytes: u64) {
    let file = std::fs::File::options().write(true).open(case.path().join(case.name)).unwrap();
    file.set_len(bytes).unwrap();
}

#[test]
fn too_many_tensors() {
    let mut header = String::from("{");
    for index in 0..=TENSORS_MAX {
        let comma = if index == 0 { "" } else { "," };
        write!(header, r#"{comma}"{index}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#).unwrap();
    }
    let opened = safetensors(&(header + "}"), 0).open();
    assert!(names(&opened).is_empty());
    one_problem(&opened.problems, Hostile, &["more than 400000 tensors"]);
}

#[test]
fn too_many_files() {
    let whole = |header: &str, data: &[u8]| {
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
    };
    let one = r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
    let case = Case::new("0.safetensors", &whole(one, &[7]));
    // All further names are of one file without tensors, so that nothing but their number is wrong.
    std::fs::write(case.path().join("1.safetensors"), whole("{}", &[])).unwrap();
    let files: Vec<PathBuf> =
        (0..=FILES_MAX).map(|index| PathBuf::from(format!("{index}.safetensors"))).collect();
    for file in &files[2..] {
        std::fs::hard_link(case.path().join(&files[1]), case.path().join(file)).unwrap();
    }
    let open_before = std::fs::read_dir("/proc/self/fd").unwrap().count();
    let opened = tensor::open(case.path(), &files, &Settings::default());
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() - open_before;
    // Other tests of this process may open files meanwhile.
    assert!(open < FILES_OPEN_MAX + 200, "{open} files are open");
    assert_eq!(names(&opened), ["a"]);
    let last = format!("{FILES_MAX}.safetensors: ");
    one_problem(&opened.problems, Hostile, &[&last, &format!("more than {FILES_MAX} files")]);
    assert_eq!(opened.files, files[..FILES_MAX]);
    let opened =
        tensor::open(case.path(), &[&files[..1], &[PathBuf::from("none")]].concat(), &Settings::default());
    one_problem(&opened.problems, Missing, &["none"]);
}

#[test]
fn a_tensor_of_too_many_elements() {
    let header =
        format!(r#"{{"a":{{"dtype":"U8","shape":[{}],"data_offsets":[0,1]}}}}"#, TENSOR_ELEMENTS_MAX + 1);
    one_problem(&safetensors(&header, 1).open().problems, Hostile, &["tensor a", "overflows"]);
}

#[test]
fn many_problems_are_counted() {
    let bad = |index: usize| {
        format!(r#""{index}":{{"dtype":"U8","shape":[2],"data_offsets":[{index},{}]}}"#, index + 1)
    };
    let tensors: Vec<String> = (0..PROBLEMS_MAX + 50).map(bad).collect();
    let opened = safetensors(&format!("{{{}}}", tensors.join(",")), tensors.len() as u64).open();
    assert_eq!(opened.problems.len(), PROBLEMS_MAX + 1);
    assert_problem(&opened.problems[PROBLEMS_MAX], Malformed, &["50 more problems"]);
    assert_eq!(opened.skipped.len(), PROBLEMS_MAX + 50);
}

/// A pickle of protocol 2 with this inside.
fn pickle(inside: impl IntoIterator<Item = Vec<u8>>) -> Case {
    let inside: Vec<u8> = inside.into_iter().flatten().collect();
    Case::new("model.pkl", &[b"\x80\x02", &inside[..], b"."].concat())
}

#[test]
fn a_pickle_that_is_too_long() {
    let case = pickle([b"N".to_vec()]);
    lengthen(&case, PICKLE_BYTES_MAX + 1);
    one_problem(&case.open().problems, Hostile, &["passes the limit of 67108864"]);
    let case = Case::new(".metadata", b"\x80\x02N.");
    lengthen(&case, PICKLE_BYTES_MAX + 1);
    one_problem(&case.open().problems, Hostile, &["passes the limit of 67108864"]);
}

#[test]
fn a_pickle_of_too_many_objects() {
    // A list, to which numbers are added in batches that the stack bears.
    let batch = [b"(".to_vec(), b"K\x01".repeat(PICKLE_STACK_MAX - 10), b"e".to_vec()].concat();
    let batches = PICKLE_NODES_MAX / (PICKLE_STACK_MAX - 10) + 1;
    let case = pickle(std::iter::once(b"]".to_vec()).chain((0..batches).map(|_| batch.clone())));
    one_problem(&case.open().problems, Hostile, &["too many objects"]);
}

#[test]
fn a_pickle_of_too_many_opcodes() {
    let case = pickle([b"N".to_vec(), b"(1".repeat((PICKLE_OPCODES_MAX / 2 + 1) as usize)]);
    one_problem(&case.open().problems, Hostile, &["too many opcodes"]);
}

#[test]
fn a_pickle_whose_stack_is_too_deep() {
    let case = pickle([b"K\x01".repeat(PICKLE_STACK_MAX + 1)]);
    one_problem(&case.open().problems, Hostile, &["the stack is too deep"]);
    let case = pickle([b"(".repeat(PICKLE_STACK_MAX + 1)]);
    one_problem(&case.open().problems, Hostile, &["too many marks"]);
}

#[test]
fn many_callables_are_told_shortly() {
    let modules: Vec<Vec<u8>> =
        (0..50).map(|_| b"cos\nsystem\n0cposix\nsystem\n0csubprocess\nPopen\n0".to_vec()).collect();
    let opened = pickle(modules.into_iter().chain([b"N".to_vec()])).open();
    one_problem(&opened.problems, Hostile, &["os.system"]);
    let told = opened.problems[0].to_string();
    let times = ["os.system", "posix.system", "subprocess.Popen"].map(|name| told.matches(name).count());
    assert!(times.iter().sum::<usize>() <= CALLABLES_TOLD_MAX + 1, "{told}");
}

/// An archive of one stored entry, whose directory has this many bytes.
fn archive(directory_bytes: u64) -> Vec<u8> {
    let comment = u16::MAX as u64;
    let entry = |name: String| {
        let mut entry = b"PK\x01\x02\x14\x00\x14\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00".to_vec();
        entry.extend_from_slice(&(name.len() as u16).to_le_bytes());
        entry.extend_from_slice(&0_u16.to_le_bytes());
        entry.extend_from_slice(&(comment as u16).to_le_bytes());
        entry.extend_from_slice(&[0; 12]);
        entry.extend_from_slice(name.as_bytes());
        entry.resize(entry.len() + comment as usize, b' ');
        entry
    };
    let local = b"PK\x03\x04\x14\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0b\x00\x00\x00x/data.pkl0";
    let mut directory = entry("x/data.pkl0".into());
    let mut entries = 1_u16;
    while (directory.len() as u64) < directory_bytes {
        directory.extend(entry(format!("x/data/{entries:04}")));
        entries += 1;
    }
    let mut end = b"PK\x05\x06\x00\x00\x00\x00".to_vec();
    end.extend_from_slice(&entries.to_le_bytes());
    end.extend_from_slice(&entries.to_le_bytes());
    end.extend_from_slice(&(directory.len() as u32).to_le_bytes());
    end.extend_from_slice(&(local.len() as u32).to_le_bytes());
    end.extend_from_slice(&[0, 0]);
    [local.to_vec(), directory, end].concat()
}

#[test]
fn a_directory_that_is_too_long() {
    let case = Case::new("model.pt", &archive(ARCHIVE_DIRECTORY_BYTES_MAX + 1));
    let problems = case.open().problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].to_string().contains("larger than the limit"), "{problems:?}");
    // The same kind of archive with a short directory is read, and lacks its pickle.
    let problems = Case::new("model.pt", &archive(1)).open().problems;
    assert!(!problems[0].to_string().contains("larger than the limit"), "{problems:?}");
}

#[test]
fn an_entry_too_large_to_read_at_once() {
    let case = Case::new("model.pt", b"");
    let file = std::fs::File::create(case.path().join(case.name)).unwrap();
    let mut archive = zip::ZipWriter::new(file);
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    archive.start_file("model/data.pkl", options).unwrap();
    let block = vec![0; 1 << 20];
    for _ in 0..=UNFOLDED_BYTES_MAX >> 20 {
        std::io::Write::write_all(&mut archive, &block).unwrap();
    }
    archive.finish().unwrap();
    one_problem(&case.open().problems, Hostile, &["too large to be read at once"]);
}

#[test]
fn an_array_header_that_is_too_long() {
    let spaces = " ".repeat(ARRAY_HEADER_BYTES_MAX as usize);
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }}{spaces}\n");
    let content =
        [b"\x93NUMPY\x02\x00".as_slice(), &(header.len() as u32).to_le_bytes(), header.as_bytes(), &[0; 4]]
            .concat();
    one_problem(&Case::new("a.npy", &content).open().problems, Hostile, &["passes the limit"]);
}

#[test]
fn a_gguf_header_that_is_too_long() {
    // Keys whose values are arrays, each within the limit, together beyond it.
    let key = |bytes: u64| {
        [&1_u64.to_le_bytes()[..], b"k", &9_u32.to_le_bytes(), &0_u32.to_le_bytes(), &bytes.to_le_bytes()]
            .concat()
    };
    let half = GGUF_HEADER_BYTES_MAX / 2 + 1;
    let start =
        [b"GGUF".as_slice(), &3_u32.to_le_bytes(), &0_u64.to_le_bytes(), &3_u64.to_le_bytes(), &key(half)]
            .concat();
    let case = Case::new("a.gguf", &start);
    let file = std::fs::File::options().write(true).open(case.path().join(case.name)).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &key(half), start.len() as u64 + half).unwrap();
    file.set_len(start.len() as u64 + 3 * half + 200).unwrap();
    let problems = case.open().problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_problem(&problems[0], Hostile, &["header"]);
}

/// A file as torch's `save_distributed` writes it: two rows of a matrix, whose columns begin there.
fn columns(begin: u64, count: u64) -> Vec<u8> {
    let place = format!(r#"{{\"a\": {{\"saved_offsets\": [0, {begin}]}}}}"#);
    let header = format!(
        r#"{{"__metadata__":{{"DCP_SHARDING_INFO":"{place}"}},"a":{{"dtype":"U8","shape":[2,{count}],"data_offsets":[0,{}]}}}}"#,
        2 * count
    );
    let data: Vec<u8> =
        (0..2).flat_map(|row| (begin..begin + count).map(move |at| (10 * row + at) as u8)).collect();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

#[test]
fn columns_that_overlap_or_leave_a_gap() {
    let open = |parts: &[(u64, u64)]| {
        let case = Case::new("other", b"");
        let files: Vec<PathBuf> =
            (0..parts.len()).map(|index| PathBuf::from(format!("{index}.safetensors"))).collect();
        for (file, &(begin, count)) in files.iter().zip(parts) {
            std::fs::write(case.path().join(file), columns(begin, count)).unwrap();
        }
        (tensor::open(case.path(), &files, &Settings::default()), case)
    };
    let (whole, _case) = open(&[(3, 4), (0, 1), (1, 2)]);
    assert!(whole.problems.is_empty(), "{:?}", whole.problems);
    assert_eq!(super::bytes_of(&whole, "a"), [0, 1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16]);
    for overlapping in [&[(0, 4), (3, 4)][..], &[(0, 7), (2, 1)], &[(0, 3), (1, 3), (6, 1)]] {
        let (opened, _case) = open(overlapping);
        one_problem(&opened.problems, Hostile, &["tensor a", "chunks overlap"]);
        assert!(names(&opened).is_empty());
    }
    for gap in [&[(0, 3), (4, 3)][..], &[(1, 6)]] {
        let (opened, _case) = open(gap);
        one_problem(&opened.problems, Missing, &["tensor a", "cover 12 of 14 elements"]);
        assert!(names(&opened).is_empty());
    }
}

/// Chunks as torch's `save_distributed` writes them: each shard says where it begins.
#[test]
fn a_tensor_of_too_many_chunks() {
    let case = Case::new("0.safetensors", b"");
    let files: Vec<PathBuf> =
        (0..=CHUNKS_MAX).map(|index| PathBuf::from(format!("{index}.safetensors"))).collect();
    for (index, file) in files.iter().enumerate() {
        let place = format!(r#"{{\"a\": {{\"saved_offsets\": [{index}]}}}}"#);
        let header = format!(
            r#"{{"__metadata__":{{"DCP_SHARDING_INFO":"{place}"}},"a":{{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}}}"#
        );
        let content = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[1]].concat();
        std::fs::write(case.path().join(file), content).unwrap();
    }
    let whole = tensor::open(case.path(), &files[..3], &Settings::default());
    assert_eq!(names(&whole), ["a"], "{:?}", whole.problems);
    assert_eq!(whole.source.tensors()[0].shape, [3]);
    let opened = tensor::open(case.path(), &files, &Settings::default());
    one_problem(&opened.problems, Hostile, &["tensor a", "more than 16384 chunks"]);
}

/// Columns of a matrix whose rows are wider than what is read at once.
#[test]
fn a_stride_wider_than_a_piece() {
    let (rows, columns) = (GATHER_BYTES_MAX + 3, 3);
    let header = format!("{{'descr': '|u1', 'fortran_order': True, 'shape': ({rows}, {columns}), }}\n");
    let head =
        [b"\x93NUMPY\x01\x00".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes()].concat();
    let data = (0..columns).flat_map(|column| (0..rows).map(move |row| (row % 251 + column) as u8));
    let opened = Case::new("a.npy", &head.into_iter().chain(data).collect::<Vec<u8>>()).open();
    let bytes = super::bytes_of(&opened, "a");
    let want = (0..rows).flat_map(|row| (0..columns).map(move |column| (row % 251 + column) as u8));
    assert!(want.eq(bytes));
}
