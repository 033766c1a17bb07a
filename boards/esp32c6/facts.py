"""ESP32-C6, stock firmware. Fields: host_tools/boards/facts.py.

Espressif's development board has a WS2812 (GPIO 8) in place of a plain LED.
"""

CHIP = "ESP32-C6"
ESPTOOL_CHIP = "esp32c6"
FIRMWARE = "ESP32_GENERIC_C6"
PLATFORM = "esp32"
MPY_ARCH = "rv32imc"
USB_IDS = ((0x303A, 0x1001, "either"),)
FLASH_SIZE = 0x400000
FLASH_FREE = None
FLASH_MAP = None
FIRMWARE_CALLS = None
FLASH_OFFSET = 0x0
UF2_FAMILY = None
UF2_BOARD = None
CPU_HZ = None
LED_PIN = None
LED_LIT = None
HEAP_CONNECTED = None
WIFI_POWER_SAVE = "PM_NONE"
TICK_MS = 10
TICK_REMEDY = "busy turns"
