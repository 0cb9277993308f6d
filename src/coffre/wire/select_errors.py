"""The errors of SelectObjectContent: code -> (HTTP status, default message).

Source: AWS "List of SELECT Object Content error codes".
"""

from __future__ import annotations

from typing import Final

SELECT_ERRORS: Final[dict[str, tuple[int, str]]] = {
    "AmbiguousFieldName": (400, "The field name matches to multiple fields in the file."),
    "Busy": (503, "The service is unavailable. Try again later."),
    "CastFailed": (400, "An attempt to convert a value from one data type to another failed."),
    "CSVParsingError": (400, "Encountered an error parsing the CSV file."),
    "EvaluatorInvalidArguments": (
        400,
        "There is an incorrect number of arguments in the function call in the expression.",
    ),
    "EvaluatorTimestampFormatPatternSyntaxError": (
        400,
        "The time stamp format pattern in the SQL expression is not valid.",
    ),
    "ExpressionTooLong": (
        400,
        "The SQL expression is too long: The maximum byte-length for the SQL expression is 256 KB.",
    ),
    "IntegerOverflow": (400, "An integer in the SQL expression overflows."),
    "InvalidCompressionFormat": (
        400,
        "The file is not in a supported compression format. Only GZIP and BZIP2 are supported.",
    ),
    "InvalidDataSource": (
        400,
        "The data source type is not valid. Only CSV, JSON, and Parquet are supported.",
    ),
    "InvalidExpressionType": (
        400,
        "The ExpressionType is not valid. Only SQL expressions are supported.",
    ),
    "InvalidFileHeaderInfo": (
        400,
        "The FileHeaderInfo is not valid. Only NONE, USE, and IGNORE are supported.",
    ),
    "InvalidJsonType": (
        400,
        "The JsonType is not valid. Only DOCUMENT and LINES are supported.",
    ),
    "InvalidQuoteFields": (
        400,
        "The QuoteFields is not valid. Only ALWAYS and ASNEEDED are supported.",
    ),
    "InvalidRequestParameter": (400, "The value of a parameter in the request is not valid."),
    "InvalidScanRange": (400, "The provided scan range is not valid."),
    "InvalidTextEncoding": (400, "The encoding type is not valid. Only UTF-8 is supported."),
    "JSONParsingError": (400, "Encountered an error parsing the JSON file."),
    "LexerInvalidChar": (400, "The SQL expression contains a character that is not valid."),
    "MissingHeaders": (
        400,
        "Some headers in the query are missing from the file.",
    ),
    "MissingRequiredParameter": (
        400,
        "The SelectRequest entity is missing a required parameter.",
    ),
    "MultipleDataSourcesUnsupported": (400, "Multiple data sources are not supported."),
    "ObjectSerializationConflict": (
        400,
        "The SelectRequest entity can only contain one format of each serialization.",
    ),
    "OverMaxColumn": (
        400,
        "The number of columns in the result exceeds the maximum allowable number of columns.",
    ),
    "OverMaxParquetBlockSize": (400, "The Parquet file is above the size that is supported."),
    "OverMaxRecordSize": (
        400,
        "The length of a record in the input or result is greater than the maxCharsPerRecord limit"
        " of 1 MB.",
    ),
    "ParquetParsingError": (400, "Encountered an error parsing the Parquet file."),
    "ParseAsteriskIsNotAloneInSelectList": (
        400,
        "Other expressions are not allowed in the SELECT list when * is used without dot notation.",
    ),
    "ParseEmptySelect": (400, "The SQL expression contains an empty SELECT clause."),
    "ParseExpectedArgumentDelimiter": (
        400,
        "Did not find the expected argument delimiter in the SQL expression.",
    ),
    "ParseExpectedDatePart": (400, "Did not find the expected date part in the SQL expression."),
    "ParseExpectedExpression": (400, "Did not find the expected SQL expression."),
    "ParseExpectedIdentForAlias": (
        400,
        "Did not find the expected identifier for the alias in the SQL expression.",
    ),
    "ParseExpectedKeyword": (400, "Did not find the expected keyword in the SQL expression."),
    "ParseExpectedLeftParenAfterCast": (
        400,
        "Did not find the expected left parenthesis after CAST in the SQL expression.",
    ),
    "ParseExpectedNumber": (400, "Did not find the expected number in the SQL expression."),
    "ParseExpectedTokenType": (400, "Did not find the expected token in the SQL expression."),
    "ParseExpectedTypeName": (400, "Did not find the expected type name in the SQL expression."),
    "ParseInvalidContextForWildcardInSelectList": (
        400,
        "The use of * in the SELECT list in the SQL expression is not valid.",
    ),
    "ParseInvalidPathComponent": (
        400,
        "The SQL expression contains a path component that is not valid.",
    ),
    "ParseInvalidTypeParam": (
        400,
        "The SQL expression contains a parameter value that is not valid.",
    ),
    "ParseSelectMissingFrom": (400, "The SQL expression contains a SELECT without a FROM."),
    "ParseUnexpectedToken": (400, "The SQL expression contains an unexpected token."),
    "ParseUnsupportedCallWithStar": (
        400,
        "Only COUNT with (*) as a parameter is supported in the SQL expression.",
    ),
    "ParseUnsupportedCase": (400, "The SQL expression contains an unsupported use of CASE."),
    "ParseUnsupportedSelect": (400, "The SQL expression contains an unsupported use of SELECT."),
    "TruncatedInput": (
        400,
        "Object decompression failed. Check that the object is properly compressed.",
    ),
    "UnsupportedFunction": (400, "Encountered an unsupported SQL function."),
    "UnsupportedScanRangeInput": (
        400,
        "Scan range queries are not supported on this type of object.",
    ),
    "UnsupportedSyntax": (400, "Encountered syntax that is not valid."),
}
