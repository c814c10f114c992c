"""Typed extraction over many files: each invoice becomes a checked record.

By default the embedded program reads them: no key, no network. With RLM_RUN_LIVE_EXAMPLE=1 the
models named by RLM_EXAMPLE_MODEL and RLM_EXAMPLE_SUB_MODEL do; only then are keys looked at.
"""

from __future__ import annotations

import os
import tempfile
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel

import rlm

VENDORS = ["Ada Ltd.", "Brick & Co", "Cedar GmbH", "Delta SARL", "Ember AG", "Fjord AS"]


class Invoice(BaseModel):
    """What is wanted of each file."""

    vendor: str
    invoice_number: str
    total: Decimal


class Extract(rlm.Signature):
    """For each of the files, extract the vendor, the invoice number and the total; then add the
    totals up."""

    files: list[rlm.File] = rlm.InputField("one invoice each")
    invoices: list[Invoice] = rlm.OutputField("in the order of the files")
    grand_total: Decimal = rlm.OutputField("the sum of the totals")


def adds_up(output: rlm.Output) -> str | None:
    """Return what is wrong with an answer: the model is told, and mends it."""
    total = sum(invoice.total for invoice in output.invoices)
    return None if total == output.grand_total else f"the totals add up to {total}"


def write_invoices(folder: Path) -> list[rlm.File]:
    """Write some invoices and return them as files."""
    for number, vendor in enumerate(VENDORS, start=1):
        text = (
            f"INVOICE\n\nVendor: {vendor}\nInvoice number: 2026-{number:03}\n\nTea: {number}.00\n"
        )
        path = folder / f"invoice-{number}.txt"
        path.write_text(
            f"{text}Total: ${number * 1210 + 0.5:,.2f}\n\nThank you.\n", encoding="utf-8"
        )
    return [rlm.File(path) for path in sorted(folder.glob("*.txt"))]


def main() -> None:
    """Run the example."""
    live = os.environ.get("RLM_RUN_LIVE_EXAMPLE") == "1"
    model = os.environ.get("RLM_EXAMPLE_MODEL") if live else "offline/needle"
    sub_model = os.environ.get("RLM_EXAMPLE_SUB_MODEL") if live else "offline/reader"
    if not live:
        print("offline: set RLM_RUN_LIVE_EXAMPLE=1 and RLM_EXAMPLE_MODEL to ask a language model")
    with tempfile.TemporaryDirectory() as folder:
        files = write_invoices(Path(folder))
        result = rlm.predict(
            Extract, input={"files": files}, validators=[adds_up], model=model, sub_model=sub_model
        )
    print("status:", result.status)
    for invoice in result.output.invoices if result.ok else []:
        print(f"  {invoice.invoice_number}  {invoice.vendor:12} {invoice.total:>10,.2f}")
    print("output:", result.output.grand_total if result.ok else result.error)
    print("run:", result.run_id)
    print("cost:", "unknown" if result.cost is None else f"${result.cost:.4f}")
    print("usage:", result.usage)


if __name__ == "__main__":
    main()
