"""The words of the domain: identifiers, operations, records and moments. No input or output."""
