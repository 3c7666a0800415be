//! `translate model`: model files from elsewhere, and generators for elsewhere.

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use tch::Device;

use super::progress::tell;
use super::{Failure, print};
use crate::atomic;
use crate::data::condition::Known;
use crate::model::export::{Check, Checked, Format, Subject, export};
use crate::model::import::{Imported, Request, import};
use crate::model::{self, Notes, card, save, set_notes};
use crate::words::{plain, printable_json, quoted};

/// Look at models, import and export them
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  translate model import latest_net_G_A.pth --inverse latest_net_G_B.pth --from photo --to anime -o model.safetensors
  translate model export model.safetensors --format torchscript --to anime -o anime.pt")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(ShowArgs),
    Import(ImportArgs),
    Export(ExportArgs),
}

/// What a model file says of itself
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  translate model show models/photos-anime
  translate model show anime.safetensors --json
  translate model show anime.safetensors --set-licence CC-BY-4.0 --set-note \"trained on my own drawings\"")]
struct ShowArgs {
    /// A model file, or the folder of a run
    model: PathBuf,
    /// As JSON, with the complete recipe
    #[arg(long)]
    json: bool,
    /// Write a note into the file first; an empty one takes it away
    #[arg(long, value_name = "TEXT")]
    set_note: Option<String>,
    /// Write a licence into the file first; an empty one takes it away
    #[arg(long, value_name = "TEXT")]
    set_licence: Option<String>,
}

/// What an import is made of.
#[derive(Debug, Parser)]
#[command(
    about = "Make a model of a PyTorch checkpoint: a generator of CycleGAN, pix2pix, CUT or GAN Compression",
    long_about = "Make a model of a PyTorch checkpoint: a generator of CycleGAN, pix2pix, CUT or GAN Compression.\n\nThe \
                  architecture is told by the tensors. Nothing in the file is run.",
    after_help = "Examples:
  translate model import latest_net_G_A.pth --from photo --to anime -o anime.safetensors
  translate model import latest_net_G_A.pth --inverse latest_net_G_B.pth --from photo --to anime -o both.safetensors
  translate apply both.safetensors photos -o drawn"
)]
struct ImportArgs {
    /// The state dict of the generator that translates `--from` to `--to`
    checkpoint: PathBuf,
    /// The state dict of the generator that translates back
    #[arg(long, value_name = "FILE")]
    inverse: Option<PathBuf>,
    /// The name of the domain that it reads
    #[arg(long, value_name = "DOMAIN")]
    from: String,
    /// The name of the domain that it writes
    #[arg(long, value_name = "DOMAIN")]
    to: String,
    /// The model file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Write over a file that exists
    #[arg(long)]
    overwrite: bool,
}

/// Write a generator in a form that other programs take
///
/// It takes and gives RGB images in [-1, 1], float32 `[batch, 3, height, width]`, of any batch, height and width that the
/// network allows. What draws from noise takes that, and the class or the words of a caption beside it.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  translate model export models/portraits.safetensors --format torchscript -o anime.pt
  translate model export models/photos-anime --format torchscript --to photos -o photos.pt
  translate model export models/photos-anime --format onnx -o anime.onnx
  translate model export models/photos-anime --format pth -o latest_net_G.pth")]
struct ExportArgs {
    /// A run folder or a model file
    model: PathBuf,
    /// The form to write
    #[arg(long, value_enum)]
    format: Format,
    /// The domain that the generator writes; by default the second folder's
    #[arg(long, value_name = "DOMAIN")]
    to: Option<String>,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Run what was written beside the model; without this it is done where the runtime is there (ONNX needs `python3` with
    /// onnxruntime)
    #[arg(long)]
    check: bool,
    /// Do not run what was written
    #[arg(long, conflicts_with = "check")]
    no_check: bool,
    /// Write over a file that exists
    #[arg(long)]
    overwrite: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<u8, Failure> {
    match &args.command {
        Command::Show(args) => run_show(args),
        Command::Import(args) => run_import(args),
        Command::Export(args) => run_export(args),
    }
}

fn run_show(args: &ShowArgs) -> Result<u8, Failure> {
    let notes = Notes { note: args.set_note.clone(), licence: args.set_licence.clone() };
    if notes != Notes::default() {
        set_notes(&args.model, notes)?;
    }
    let card = card(&args.model)?;
    if args.json {
        print(printable_json(&serde_json::to_string_pretty(&card)?));
        return Ok(0);
    }
    let rows = card.rows();
    let width = rows.iter().map(|(what, _)| what.chars().count()).max().unwrap_or(0);
    for (what, value) in rows {
        print(format!("{what:<width$}  {value}"));
    }
    Ok(0)
}

fn run_import(args: &ImportArgs) -> Result<u8, Failure> {
    check_output(&args.output, &["safetensors"], args.overwrite)?;
    let (forward, inverse) = (args.checkpoint.as_path(), args.inverse.as_deref());
    let imported = import(&Request { forward, inverse, from: &args.from, to: &args.to })?;
    let Imported { graph, recipe, about } = &imported;
    let before = Notes::at(&args.output);
    save(&args.output, graph, recipe, about)?;
    for (name, arrow) in &recipe.generators {
        let parameters = graph.generators[name].net.parameter_count();
        let (from, to) = (&about.domains[&arrow.from], &about.domains[&arrow.to]);
        print(format!("{from} to {to}: {parameters} parameters, {}", serde_json::to_string(&arrow.net)?));
    }
    let output = args.output.display();
    print(format!("imported into `{output}`"));
    if let Some(warning) = dropped(&before, &output.to_string()) {
        tell(format_args!("warning: {warning}"));
    }
    tell(format_args!("next: translate apply {output} FOLDER -o OUT"));
    Ok(0)
}

/// What to say of the licence and the note of a model that another one has taken the place of: they need not fit that.
fn dropped(before: &Notes, output: &str) -> Option<String> {
    let notes = [("licence", &before.licence), ("note", &before.note)];
    let notes = notes.into_iter().filter_map(|(what, text)| Some((what, plain(text.as_ref()?))));
    let (told, options): (Vec<_>, Vec<_>) =
        notes.map(|(what, text)| (format!("{what} `{text}`"), format!("--set-{what} \"…\""))).unzip();
    let (told, options) = (told.join(" and "), options.join(" "));
    (!told.is_empty()).then(|| {
        format!(
            "the model before had the {told}, which may not fit this one and is left out\nhint: where it fits, \
             `translate model show {output} {options}`"
        )
    })
}

fn run_export(args: &ExportArgs) -> Result<u8, Failure> {
    check_output(&args.output, args.format.extensions(), args.overwrite)?;
    check_is_not_the_model(&args.output, &args.model)?;
    let model = model::open(&args.model, Device::Cpu)?;
    let subject = model.subject(args.to.as_deref())?;
    let check = match (args.check, args.no_check) {
        (_, true) => Check::Never,
        (true, _) => Check::Always,
        _ => Check::IfPossible,
    };
    let checked = export(&subject, args.format, &args.output, check)?;
    match subject.from() {
        Some(from) => print(format!("{from} to {}: {}", subject.to(), describe_sides(&subject))),
        None => print(format!(
            "{} from noise: `noise` is [batch, {}], normal",
            subject.to(),
            subject.config().noise().unwrap_or_default()
        )),
    }
    if let Some(known) = subject.known() {
        print(describe_condition(known));
    }
    let name = args.format.name();
    print(match checked {
        Checked::Differs(difference) => {
            let most = if difference == 0.0 { "0".into() } else { format!("{difference:.1e}") };
            format!(
                "checked: its outputs on random inputs of 3 shapes differ from the model's by at most {most}"
            )
        }
        Checked::Not(why) => format!("not checked: {why}"),
    });
    print(format!("exported as {name} into `{}`", args.output.display()));
    if let (Format::Pth, Some(options)) = (args.format, subject.reference_options()) {
        tell(format_args!("next: the PyTorch CycleGAN's `test.py` takes it with `{options}`"));
    }
    Ok(0)
}

/// What stands for what in the second input.
fn describe_condition(known: &Known) -> String {
    match known {
        Known::Classes(names) => {
            let numbered = names.iter().enumerate().map(|(i, name)| format!("{i} `{}`", plain(name)));
            format!("`label` is [batch], int64: {}", numbered.collect::<Vec<_>>().join(", "))
        }
        Known::Words(vocabulary) => format!(
            "`tokens` is [batch, {}], int64: of each word its place, from 1, in the `conditions` of `translate model show MODEL \
             --json`, then zeros",
            vocabulary.length()
        ),
    }
}

/// What sizes the network takes.
fn describe_sides(subject: &Subject<'_>) -> String {
    let net = subject.config();
    let (stride, least) = (net.stride(), net.least_size());
    format!("RGB in [-1, 1], height and width are multiples of {stride} from {least}")
}

/// An export has no recipe, so `--overwrite` must not put one in its model's place.
fn check_is_not_the_model(output: &Path, model: &Path) -> Result<(), Failure> {
    let file = if model.is_dir() { model.join(model::FILE_NAME) } else { model.into() };
    let is_model =
        output.canonicalize().is_ok_and(|output| file.canonicalize().is_ok_and(|file| file == output));
    if is_model {
        let name = output.display();
        Err(anyhow::anyhow!(
            "`-o {name}` is the model, whose recipe would be lost\nhint: name another `-o`"
        ))?;
    }
    Ok(())
}

/// Found out before the work rather than after it. `extensions` are how the name can end.
fn check_output(output: &Path, extensions: &[&str], overwrite: bool) -> Result<(), Failure> {
    let name = output.display();
    if !extensions.iter().any(|known| output.extension().is_some_and(|extension| extension == *known)) {
        let known = quoted(extensions.iter().map(|extension| format!(".{extension}")), " or ");
        Err(anyhow::anyhow!("`-o {name}`: expected a name that ends in {known}"))?;
    }
    if output.is_dir() {
        Err(anyhow::anyhow!(
            "`-o {name}` is a folder; expected a file\nhint: `-o {name}/model.{}`",
            extensions[0]
        ))?;
    }
    if output.exists() && !overwrite {
        Err(anyhow::anyhow!("`{name}` exists\nhint: name another `-o`, or `--overwrite` it"))?;
    }
    let cannot = |error| {
        anyhow::anyhow!(
            "cannot write `-o {name}`: {error}\nhint: name a file in a folder that exists and is yours"
        )
    };
    Ok(atomic::try_writing(atomic::folder_of(output)).map_err(cannot)?)
}
