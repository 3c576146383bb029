#include "wire/kafka_error.h"

const char *kafka_error_name(int16_t code)
{
    switch (code) {
#define KAFKA_ERROR_CASE(name, number)                                                             \
    case number:                                                                                   \
        return #name;
        KAFKA_ERRORS(KAFKA_ERROR_CASE)
#undef KAFKA_ERROR_CASE
    default:
        return "UNKNOWN_ERROR_CODE";
    }
}
