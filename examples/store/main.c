/* The program of a service, which SERVICE names: see service.h, and the file of the service. */
#include "service.h"

int main(int argc, char **argv)
{
    return service_main(&SERVICE, argc, argv);
}
