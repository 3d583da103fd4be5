//! The file of new hires: every row is checked before anything starts.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use bifrost::graph::users::check_upn;
use csv::{ErrorKind, Reader, StringRecord};
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::workflow::Hire;
use crate::world::Customer;

/// What the file holds.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    pub(crate) people: Vec<Person>,
    pub(crate) invalid: Vec<InvalidRow>,
}

/// A row that can be worked on.
#[derive(Debug)]
pub(crate) struct Person {
    /// The line in the file, as a spreadsheet counts: the header is row 1.
    pub(crate) row: u64,
    pub(crate) customer: String,
    pub(crate) hire: Hire,
}

/// What is wrong with a row.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct InvalidRow {
    pub(crate) row: u64,
    pub(crate) column: String,
    pub(crate) reason: String,
}

/// The columns, under these names and in any order.
const COLUMNS: [&str; 8] = ["customer", "name", "alias", "country", "department", "job_title", "licence", "groups"];

#[derive(Deserialize)]
struct Fields {
    customer: String,
    name: String,
    /// The part of the sign-in name before the `@`: names are written in scripts that sign-in names are not.
    alias: String,
    country: String,
    department: String,
    job_title: String,
    licence: String,
    /// Separated by `;`.
    groups: String,
}

/// Reads and checks the file; customers are known by the ids of `customers`.
pub(crate) fn read(path: &Path, customers: &[Customer]) -> Result<Sheet, Failure> {
    let unreadable = |reason: String| Failure::usage(format!("{}: {reason}", path.display()));
    let text = fs::read_to_string(path)
        .map_err(|error| unreadable(format!("{error}; name the file of new hires with --hires FILE")))?;
    parse(&text, customers).map_err(unreadable)
}

fn parse(text: &str, customers: &[Customer]) -> Result<Sheet, String> {
    // Spreadsheets put a byte order mark in front.
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = header(&mut reader)?;
    let mut sheet = Sheet::default();
    let mut rows_by_upn = HashMap::new();
    for record in reader.records() {
        let (row, checked) = match record {
            Ok(record) => {
                let row = record.position().map_or(0, csv::Position::line);
                (row, check(&record, &header, customers))
            }
            Err(error) => not_a_row(&error)?,
        };
        let checked = checked.and_then(|(customer, hire)| match rows_by_upn.insert(hire.upn.to_lowercase(), row) {
            None => Ok((customer, hire)),
            Some(first) => Err(vec![("alias", format!("{} is in row {first} already", hire.upn))]),
        });
        match checked {
            Ok((customer, hire)) => sheet.people.push(Person { row, customer, hire }),
            Err(reasons) => sheet.invalid.extend(reasons.into_iter().map(|(column, reason)| InvalidRow {
                row,
                column: column.to_owned(),
                reason,
            })),
        }
    }
    Ok(sheet)
}

fn header(reader: &mut Reader<&[u8]>) -> Result<StringRecord, String> {
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let missing: Vec<&str> =
        COLUMNS.into_iter().filter(|column| !header.iter().any(|found| found == *column)).collect();
    if missing.is_empty() {
        return Ok(header);
    }
    Err(format!("the columns {} are missing in row 1", missing.join(", ")))
}

type Checked = Result<(String, Hire), Vec<(&'static str, String)>>;

/// A row with too many or too few fields is one of many that may be right; any other error concerns the whole file.
fn not_a_row(error: &csv::Error) -> Result<(u64, Checked), String> {
    match error.kind() {
        ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let row = pos.as_ref().map_or(0, csv::Position::line);
            let reason = format!("the row has {len} fields instead of {expected_len}");
            Ok((row, Err(vec![("(all)", reason)])))
        }
        _ => Err(error.to_string()),
    }
}

fn check(record: &StringRecord, header: &StringRecord, customers: &[Customer]) -> Checked {
    let fields: Fields = record.deserialize(Some(header)).map_err(|error| vec![("(all)", error.to_string())])?;
    let mut wrong = Vec::new();
    if fields.name.is_empty() {
        wrong.push(("name", "the name is missing".to_owned()));
    }
    if !is_country(&fields.country) {
        let reason = format!("`{}` is no two-letter country code such as `CH`", fields.country);
        wrong.push(("country", reason));
    }
    if fields.licence.is_empty() {
        wrong.push(("licence", "the licence is missing".to_owned()));
    }
    let customer = customers.iter().find(|customer| customer.id == fields.customer);
    let upn = match customer {
        Some(customer) => format!("{}@{}", fields.alias, customer.domain),
        None => {
            let known: Vec<&str> = customers.iter().map(|customer| customer.id.as_str()).collect();
            let reason = format!("`{}` is none of {}", fields.customer, known.join(", "));
            wrong.push(("customer", reason));
            format!("{}@unknown.example", fields.alias)
        }
    };
    if let Err(error) = check_upn(&upn) {
        wrong.push(("alias", error.message().to_owned()));
    }
    if wrong.is_empty() {
        return Ok((fields.customer.clone(), fields.into_hire(upn)));
    }
    Err(wrong)
}

fn is_country(text: &str) -> bool {
    text.len() == 2 && text.chars().all(|letter| letter.is_ascii_uppercase())
}

impl Fields {
    fn into_hire(self, upn: String) -> Hire {
        let groups = self.groups.split(';').map(str::trim).filter(|name| !name.is_empty());
        let given = |text: String| (!text.is_empty()).then_some(text);
        Hire {
            groups: groups.map(str::to_owned).collect(),
            name: self.name,
            upn,
            country: self.country,
            department: given(self.department),
            job_title: given(self.job_title),
            licence: self.licence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world;

    const HEADER: &str = "customer,name,alias,country,department,job_title,licence,groups\n";

    fn sheet(rows: &str) -> Sheet {
        parse(&format!("{HEADER}{rows}"), &world::demo_customers()).unwrap()
    }

    #[test]
    fn a_row_keeps_its_script_and_signs_in_by_its_alias() {
        let sheet = sheet("contoso,田中 さくら,sakura.tanaka,JP,,,SPE_E3,All Staff; Sales;\n");
        let person = &sheet.people[0];
        assert_eq!((person.row, person.hire.name.as_str()), (2, "田中 さくら"));
        assert_eq!(person.hire.upn, "sakura.tanaka@contoso.com");
        assert_eq!(person.hire.groups, ["All Staff", "Sales"]);
        assert_eq!(person.hire.department, None);
    }

    #[test]
    fn each_wrong_cell_is_told_with_row_and_column() {
        let sheet = sheet(concat!(
            "contoso,Zoë,zoë,CH,,,SPE_E3,\n",
            "nobody,,a.b,Switzerland,,,,\n",
            "contoso,Ann,ann,CH,,,SPE_E3,\n",
            "contoso,Ann,ann,CH,,,SPE_E3,\n",
            "contoso,Ann\n",
        ));
        let told: Vec<(u64, &str)> = sheet.invalid.iter().map(|row| (row.row, row.column.as_str())).collect();
        let expected =
            [(2, "alias"), (3, "name"), (3, "country"), (3, "licence"), (3, "customer"), (5, "alias"), (6, "(all)")];
        assert_eq!((told.as_slice(), sheet.people.len()), (expected.as_slice(), 1));
    }

    #[test]
    fn a_missing_column_concerns_the_whole_file() {
        let refused = parse("customer,name\n", &world::demo_customers()).unwrap_err();
        assert!(refused.contains("alias, country"), "{refused}");
    }

    #[test]
    fn the_byte_order_mark_of_spreadsheets_is_skipped() {
        let text = format!("\u{feff}{HEADER}contoso,Ann,ann,CH,,,SPE_E3,\n");
        assert_eq!(parse(&text, &world::demo_customers()).unwrap().people.len(), 1);
    }
}
