//! Weights files: safetensors and nothing else, distrusted until checked.
//!
//! A file is opened by its header alone; each tensor is read, converted to f32 and checked when a model asks for it by
//! name and shape, so that a big checkpoint is never held twice. Invariant: what [`Weights::tensor`] returns has the
//! shape that was asked for, is contiguous f32 on the device, and holds only finite numbers. No pickle is ever read.

use super::segmenter::InferenceError;
use candle_core::{Device, Tensor};
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Bytes before the header: its length as a little-endian u64.
const LENGTH_BYTES: usize = 8;
/// A header longer than this is no model's: the largest known (Stable Diffusion's UNet) stays below 100 KB.
const MAX_HEADER_BYTES: u64 = 16 << 20;
/// More tensors than any model that we run.
const MAX_TENSORS: usize = 20_000;
/// More axes than any weight has.
const MAX_RANK: usize = 8;

/// A checked weights file, open for reading tensors by name.
pub struct Weights {
    source: PathBuf,
    content: Content,
    /// Where the tensors' bytes begin.
    data_start: u64,
    tensors: BTreeMap<String, Entry>,
    metadata: HashMap<String, String>,
    device: Device,
    sha256: String,
    asked: Mutex<BTreeSet<String>>,
}

/// One tensor as the header describes it.
struct Entry {
    /// Its name in the file, which may differ after [`Weights::renamed`].
    name_in_file: String,
    info: TensorInfo,
}

enum Content {
    Memory(Cow<'static, [u8]>),
    File(Mutex<File>),
    Generated(Generator),
}

/// Makes a tensor's numbers, row-major, from its name and shape.
pub type Generator = fn(name: &str, shape: &[usize]) -> Vec<f32>;

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Weights({}, {} tensors, {})", self.source.display(), self.tensors.len(), self.sha256_prefix())
    }
}

impl Weights {
    /// Opens a safetensors file: checks its header against its size and hashes its content.
    ///
    /// # Errors
    /// A file that cannot be read, is a folder, a pickle or anything else but safetensors, or whose header lies.
    pub fn open(path: &Path, device: &Device) -> Result<Self, InferenceError> {
        let refuse = |problem: String| InferenceError::Weights { path: path.to_path_buf(), problem };
        let metadata = std::fs::metadata(path).map_err(|e| refuse(format!("cannot be opened: {e}; check the path")))?;
        if metadata.is_dir() {
            return Err(refuse("is a folder, expected one file; give the .safetensors file in it".to_owned()));
        }
        let mut file = File::open(path).map_err(|e| refuse(format!("cannot be opened: {e}; check its rights")))?;
        let head = read_head(&mut file, metadata.len())
            .map_err(|e| refuse(format!("cannot be read: {e}")))?
            .map_err(refuse)?;
        let sha256 = hash_all(&mut file).map_err(|e| refuse(format!("cannot be read: {e}")))?;
        Self::from_parts(path.to_path_buf(), Content::File(Mutex::new(file)), &head, metadata.len(), sha256, device)
    }

    /// The same for a file that is already in memory; `source` is how errors call it, such as `embedded spark-sam`.
    ///
    /// # Errors
    /// As [`Weights::open`], but for the file system.
    pub fn from_bytes(
        source: PathBuf,
        bytes: impl Into<Cow<'static, [u8]>>,
        device: &Device,
    ) -> Result<Self, InferenceError> {
        let bytes = bytes.into();
        let total = bytes.len() as u64;
        let refuse = |problem: String| InferenceError::Weights { path: source.clone(), problem };
        let head = read_head(&mut bytes.as_ref(), total)
            .map_err(|e| refuse(format!("cannot be read: {e}")))?
            .map_err(refuse)?;
        let sha256 = sha256_hex(&bytes);
        Self::from_parts(source, Content::Memory(bytes), &head, total, sha256, device)
    }

    /// Weights that lie nowhere: each tensor of the list is made from its name and shape when it is asked for, so only
    /// the list is held. `source` is how errors and model ids call them.
    pub fn generated(
        source: PathBuf,
        shapes: Vec<(String, Vec<usize>)>,
        generator: Generator,
        device: &Device,
    ) -> Self {
        let mut end = 0;
        let mut plan = Sha256::new();
        let entries = shapes.into_iter().map(|(name, shape)| {
            plan.update(format!("{name} {shape:?}\n"));
            let start = end;
            end += shape.iter().product::<usize>() * size_of::<f32>();
            let info = TensorInfo { dtype: Dtype::F32, shape, data_offsets: (start, end) };
            (name.clone(), Entry { name_in_file: name, info })
        });
        let tensors = entries.collect();
        Self {
            source,
            content: Content::Generated(generator),
            data_start: 0,
            tensors,
            metadata: HashMap::new(),
            device: device.clone(),
            sha256: hex(&plan.finalize()),
            asked: Mutex::default(),
        }
    }

    fn from_parts(
        source: PathBuf,
        content: Content,
        header: &[u8],
        total: u64,
        sha256: String,
        device: &Device,
    ) -> Result<Self, InferenceError> {
        let data_start = (LENGTH_BYTES + header.len()) as u64;
        let (tensors, metadata) = parse_header(header, total - data_start)
            .map_err(|problem| InferenceError::Weights { path: source.clone(), problem })?;
        let asked = Mutex::default();
        Ok(Self { source, content, data_start, tensors, metadata, device: device.clone(), sha256, asked })
    }

    /// The file, or what the embedded one is called.
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// Where the tensors are put.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// All tensor names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape that the header gives; `None` if there is no such tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|entry| entry.info.shape.as_slice())
    }

    /// A note of the header, such as the model's name.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// The first 12 hex digits of the whole file's SHA-256: what model ids end in.
    pub fn sha256_prefix(&self) -> &str {
        &self.sha256[..12]
    }

    /// The same file under other names: `rename` gets a name and gives the one that the model will ask for. This is
    /// how another key layout is read (for instance Hugging Face's SAM).
    ///
    /// # Errors
    /// Two tensors that get one name.
    pub fn renamed(mut self, rename: impl Fn(&str) -> String) -> Result<Self, InferenceError> {
        let mut tensors = BTreeMap::new();
        for (name, entry) in std::mem::take(&mut self.tensors) {
            let name_in_file = entry.name_in_file.clone();
            let new_name = rename(&name);
            if let Some(other) = tensors.insert(new_name.clone(), entry) {
                return Err(self.refuse(format!(
                    "the tensors {} and {name_in_file} both stand for {new_name}, expected one; the file mixes two \
                     key layouts: save it again from the original checkpoint",
                    other.name_in_file
                )));
            }
        }
        self.tensors = tensors;
        Ok(self)
    }

    /// Names that no [`Weights::tensor`] asked for so far, sorted. After a model is built these are surplus.
    pub fn unused(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.tensors.keys().filter(|name| !asked.contains(*name)).cloned().collect()
    }

    /// The tensor of this name and shape as contiguous f32 on the device; f16, bf16 and f32 are accepted.
    ///
    /// # Errors
    /// A missing name, another shape, another dtype, NaN or infinity, or a file that can no longer be read.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, InferenceError> {
        Ok(Tensor::from_vec(self.values(name, shape)?, shape, &self.device)?)
    }

    /// The numbers of [`Weights::tensor`], row-major; for arithmetic before they become a tensor.
    ///
    /// # Errors
    /// As [`Weights::tensor`].
    pub fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, InferenceError> {
        let Some(entry) = self.tensors.get(name) else {
            return Err(self.refuse(format!(
                "has no tensor {name}, expected one of shape {shape:?}; it has {}. It belongs to another model: choose \
                 another file",
                self.some_names()
            )));
        };
        self.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(name.to_owned());
        let called =
            if entry.name_in_file == name { name.to_owned() } else { format!("{} ({name})", entry.name_in_file) };
        let info = &entry.info;
        if info.shape != shape {
            return Err(self.refuse(format!(
                "tensor {called} has shape {:?}, expected {shape:?}; it belongs to another model or version: choose \
                 another file",
                info.shape
            )));
        }
        if let Content::Generated(generator) = self.content {
            return Ok(generator(&entry.name_in_file, shape));
        }
        let bytes = self.bytes(info).map_err(|e| self.refuse(format!("tensor {called} cannot be read: {e}")))?;
        let values = match info.dtype {
            Dtype::F32 => numbers(&bytes, f32::from_le_bytes),
            Dtype::F16 => numbers(&bytes, |b| f16::from_le_bytes(b).to_f32()),
            Dtype::BF16 => numbers(&bytes, |b| bf16::from_le_bytes(b).to_f32()),
            other => {
                return Err(self.refuse(format!(
                    "tensor {called} has dtype {other:?}, expected F32, F16 or BF16; save the weights as one of these"
                )));
            }
        };
        let broken = values.iter().filter(|v| !v.is_finite()).count();
        if broken > 0 {
            return Err(self.refuse(format!(
                "tensor {called} holds {broken} values that are NaN or infinite of {}, expected none; the file is \
                 damaged: get it again",
                values.len()
            )));
        }
        Ok(values)
    }

    fn bytes(&self, info: &TensorInfo) -> std::io::Result<Cow<'_, [u8]>> {
        let (start, end) = info.data_offsets;
        match &self.content {
            Content::Memory(all) => {
                let data_start = self.data_start as usize;
                // Within bounds: `parse_header` compared the offsets with the size of this very slice.
                Ok(Cow::Borrowed(&all[data_start + start..data_start + end]))
            }
            Content::File(file) => {
                let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                file.seek(SeekFrom::Start(self.data_start + start as u64))?;
                let mut bytes = vec![0; end - start];
                file.read_exact(&mut bytes)?;
                Ok(Cow::Owned(bytes))
            }
            Content::Generated(_) => Err(std::io::Error::other("generated weights have no bytes")),
        }
    }

    /// A few names, so that a person recognises what the file is.
    pub fn some_names(&self) -> String {
        let mut names: Vec<&str> = self.names().take(3).collect();
        let more = self.tensors.len() - names.len();
        if names.is_empty() {
            names.push("none");
        }
        if more > 0 { format!("{} and {more} more", names.join(", ")) } else { names.join(", ") }
    }

    /// An error that names this file.
    pub fn refuse(&self, problem: String) -> InferenceError {
        InferenceError::Weights { path: self.source.clone(), problem }
    }
}

fn numbers<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|&chunk| convert(chunk)).collect()
}

/// Reads the header's bytes, or says (inner error) why this is no safetensors file.
fn read_head(from: &mut impl Read, total: u64) -> std::io::Result<Result<Vec<u8>, String>> {
    let mut start = Vec::new();
    from.by_ref().take(LENGTH_BYTES as u64 + 1).read_to_end(&mut start)?;
    // A safetensors header is a JSON object; everything else is told apart by its first bytes.
    if start.get(LENGTH_BYTES) != Some(&b'{') {
        from.by_ref().take(256).read_to_end(&mut start)?;
        return Ok(Err(what_else_it_is(&start, total)));
    }
    let mut length = [0; LENGTH_BYTES];
    length.copy_from_slice(&start[..LENGTH_BYTES]);
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER_BYTES || length > total - LENGTH_BYTES as u64 {
        return Ok(Err(format!(
            "claims a header of {length} bytes in a file of {total} bytes, expected at most {MAX_HEADER_BYTES}; it is \
             cut off or no safetensors file: get it again"
        )));
    }
    let mut header = vec![b'{'];
    from.by_ref().take(length - 1).read_to_end(&mut header)?;
    Ok(Ok(header))
}

/// Says what a file that is no safetensors file seems to be, and what to do.
fn what_else_it_is(start: &[u8], total: u64) -> String {
    const CONVERT: &str = "Such files can run code when opened, so Maskwright never reads them. Convert it to \
                           safetensors where you trust it (safetensors.torch.save_file), or get the .safetensors file";
    let text = String::from_utf8_lossy(&start[..start.len().min(64)]).to_lowercase();
    if start.starts_with(b"PK\x03\x04") {
        format!("is a zip archive, most likely PyTorch's .pt/.pth/.bin/.ckpt with a pickle inside. {CONVERT}")
    } else if matches!(start, [0x80, 0..=5, ..]) {
        format!("is a Python pickle (.pt/.pth/.bin/.ckpt). {CONVERT}")
    } else if start.starts_with(b"GGUF") {
        "is a GGUF file, expected safetensors; get the .safetensors file of the same model".to_owned()
    } else if text.starts_with("version https://git-lfs") {
        "is a Git LFS pointer, not the weights themselves; run `git lfs pull` where it came from".to_owned()
    } else if text.trim_start().starts_with("<!doctype") || text.trim_start().starts_with("<html") {
        "is a web page, most likely an error page saved under this name; download it again".to_owned()
    } else {
        format!("is no safetensors file ({total} bytes, and no header begins after the first 8); get the file again")
    }
}

/// Tensors and notes of a header.
type Header = (BTreeMap<String, Entry>, HashMap<String, String>);

/// The content of a header that agrees with itself and with the `data_bytes` that follow it.
fn parse_header(header: &[u8], data_bytes: u64) -> Result<Header, String> {
    let metadata: Metadata = serde_json::from_slice(header)
        .map_err(|e| format!("has a header that is no valid safetensors header ({e}); get the file again"))?;
    let tensors = metadata.tensors();
    if tensors.len() > MAX_TENSORS {
        return Err(format!("lists {} tensors, expected at most {MAX_TENSORS}", tensors.len()));
    }
    let mut spans = Vec::with_capacity(tensors.len());
    for (name, info) in &tensors {
        let elements = info.shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
        let bits = elements.and_then(|elements| elements.checked_mul(info.dtype.bitsize()));
        let (start, end) = info.data_offsets;
        let claimed = end.checked_sub(start).and_then(|bytes| bytes.checked_mul(8));
        if info.shape.len() > MAX_RANK || bits.is_none() || bits != claimed {
            return Err(format!(
                "tensor {name} of shape {:?} and dtype {:?} is said to lie at bytes {start}..{end}, which does not fit; \
                 the header lies: get the file again",
                info.shape, info.dtype
            ));
        }
        spans.push((start as u64, end as u64));
    }
    spans.sort_unstable();
    let covered = spans.iter().try_fold(0, |at, &(start, end)| (start == at).then_some(end));
    if covered != Some(data_bytes) {
        return Err(format!(
            "holds {data_bytes} bytes of tensors, expected {}; it is cut off or damaged: get it again",
            covered.map_or("tensors that follow each other without gap".to_owned(), |bytes| bytes.to_string())
        ));
    }
    let entries = tensors
        .into_iter()
        .map(|(name, info)| (name.clone(), Entry { name_in_file: name, info: info.clone() }))
        .collect();
    Ok((entries, metadata.metadata().clone().unwrap_or_default()))
}

fn hash_all(file: &mut File) -> std::io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// SHA-256 as 64 hex digits.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::TensorView;

    fn file_of(tensors: &[(&str, Dtype, Vec<usize>, Vec<u8>)]) -> Vec<u8> {
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            (name.to_string(), TensorView::new(*dtype, shape.clone(), bytes).unwrap())
        });
        safetensors::serialize(views, None).unwrap()
    }

    fn f32_bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    fn open(bytes: Vec<u8>) -> Result<Weights, InferenceError> {
        Weights::from_bytes("some.safetensors".into(), bytes, &Device::Cpu)
    }

    fn good() -> Vec<u8> {
        let half: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect();
        let brain: Vec<u8> = [0.5f32, 3.0].iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect();
        file_of(&[
            ("full", Dtype::F32, vec![2, 2], f32_bytes(&[1.0, 2.0, 3.0, 4.0])),
            ("half", Dtype::F16, vec![2], half),
            ("brain", Dtype::BF16, vec![2], brain),
            ("ids", Dtype::I64, vec![1], 7i64.to_le_bytes().to_vec()),
            ("broken", Dtype::F32, vec![2], f32_bytes(&[f32::NAN, f32::INFINITY])),
        ])
    }

    #[test]
    fn a_file_and_its_bytes_are_read_alike() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        crate::atomic_file::write_atomically(&path, |w| w.write_all(&good())).unwrap();
        let (disk, memory) = (Weights::open(&path, &Device::Cpu).unwrap(), open(good()).unwrap());
        assert_eq!(disk.sha256_prefix(), memory.sha256_prefix());
        assert_eq!(disk.sha256_prefix().len(), 12);
        for weights in [disk, memory] {
            assert_eq!(weights.values("full", &[2, 2]).unwrap(), [1.0, 2.0, 3.0, 4.0]);
            assert_eq!(weights.values("half", &[2]).unwrap(), [1.5, -2.0]);
            assert_eq!(weights.tensor("brain", &[2]).unwrap().to_vec1::<f32>().unwrap(), [0.5, 3.0]);
            assert_eq!(weights.unused(), ["broken", "ids"]);
            assert_eq!(weights.shape("half"), Some(&[2][..]));
        }
    }

    #[test]
    fn each_fault_of_a_tensor_is_named() {
        let weights = open(good()).unwrap();
        let text = |name: &str, shape: &[usize]| weights.tensor(name, shape).unwrap_err().to_string();
        assert!(
            text("nowhere", &[1])
                .contains("has no tensor nowhere, expected one of shape [1]; it has brain, broken, full and 2 more")
        );
        assert!(text("full", &[4]).contains("tensor full has shape [2, 2], expected [4]"));
        assert!(text("ids", &[1]).contains("dtype I64, expected F32, F16 or BF16"));
        assert!(text("broken", &[2]).contains("holds 2 values that are NaN or infinite"));
        assert!(text("full", &[4]).starts_with("some.safetensors: "));
    }

    #[test]
    fn renaming_serves_other_layouts_and_refuses_collisions() {
        let weights = open(good()).unwrap().renamed(|name| name.replace("half", "encoder.half")).unwrap();
        assert_eq!(weights.values("encoder.half", &[2]).unwrap(), [1.5, -2.0]);
        let error = weights.tensor("encoder.half", &[3]).unwrap_err().to_string();
        assert!(error.contains("tensor half (encoder.half)"), "{error}");
        let error = weights.renamed(|_| "same".to_owned()).unwrap_err().to_string();
        assert!(error.contains("both stand for same"), "{error}");
    }

    #[test]
    fn generated_weights_are_made_when_asked_for_and_checked_like_others() {
        let numbers: Generator = |name, shape| vec![name.len() as f32; shape.iter().product()];
        let shapes = vec![("long name".to_owned(), vec![2, 2]), ("b".to_owned(), vec![3])];
        let weights = Weights::generated("random".into(), shapes, numbers, &Device::Cpu);
        let weights = weights.renamed(|name| name.replace("long name", "short")).unwrap();
        assert_eq!(weights.values("short", &[2, 2]).unwrap(), [9.0; 4], "made from the original name");
        assert_eq!((weights.shape("b"), weights.sha256_prefix().len()), (Some(&[3][..]), 12));
        assert_eq!(weights.unused(), ["b"]);
        let error = weights.tensor("b", &[4]).unwrap_err().to_string();
        assert!(error.contains("random: tensor b has shape [3], expected [4]"), "{error}");
        assert!(weights.tensor("c", &[4]).is_err());
    }

    #[test]
    fn other_kinds_of_file_are_refused_by_name() {
        let zip = [b"PK\x03\x04".as_slice(), &[0; 40]].concat();
        for (bytes, word) in [
            (zip, "zip archive"),
            (vec![0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20], "pickle"),
            (b"GGUF\x03\0\0\0\0\0\0\0".to_vec(), "GGUF"),
            (b"version https://git-lfs.github.com/spec/v1\n".to_vec(), "Git LFS pointer"),
            (b"<!DOCTYPE html><html>404".to_vec(), "web page"),
            (Vec::new(), "no safetensors file (0 bytes"),
            (vec![9; 100], "no safetensors file"),
        ] {
            let error = open(bytes).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        let error = Weights::open(Path::new(env!("CARGO_MANIFEST_DIR")), &Device::Cpu).unwrap_err().to_string();
        assert!(error.contains("is a folder"), "{error}");
        let error = Weights::open(Path::new("nowhere.safetensors"), &Device::Cpu).unwrap_err().to_string();
        assert!(error.contains("cannot be opened"), "{error}");
    }

    #[test]
    fn a_header_of_640_bytes_is_no_pickle() {
        // Its length starts with the bytes 80 02, as a pickle does.
        let mut header = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#.to_vec();
        header.resize(640, b' ');
        let file = [640u64.to_le_bytes().as_slice(), &header, &1f32.to_le_bytes()].concat();
        assert_eq!(open(file).unwrap().values("a", &[1]).unwrap(), [1.0]);
    }

    #[test]
    fn lying_headers_and_torn_files_are_refused() {
        let whole = good();
        for cut in [whole.len() - 1, whole.len() / 2, 30, 9, 8, 3] {
            assert!(open(whole[..cut].to_vec()).is_err(), "cut at {cut}");
        }
        assert!(open([whole, vec![0]].concat()).is_err());
        for header in [
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#,
            r#"{"a":{"dtype":"F32","shape":[18446744073709551615,2],"data_offsets":[0,4]}}"#,
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
            r#"{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}"#,
            r#"{"a":1}"#,
            r#"{"a""#,
        ] {
            let file = [(header.len() as u64).to_le_bytes().as_slice(), header.as_bytes(), &[0; 4]].concat();
            assert!(open(file).is_err(), "{header}");
        }
        let huge = [u64::MAX.to_le_bytes().as_slice(), b"{}"].concat();
        assert!(open(huge).unwrap_err().to_string().contains("claims a header"));
    }
}
