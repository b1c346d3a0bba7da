/* SPDX-License-Identifier: Apache-2.0 */
/* The image's service: the program /etc/sandlot/start runs as root in each sandbox of the image,
 * from the first /init on, which may come before it is known whose sandbox this is. It says that it
 * is ready by its first output, or by its end, and /init waits for that, so a client's first
 * request finds it. A sandbox that is restored with its processes has it running already. */
#ifndef ENVD_SERVICE_H
#define ENVD_SERVICE_H

enum { SERVICE_READY_MS = 5000 }; /* after that the sandbox is there without it */

struct guest;

void service_start(struct guest *g);

#endif
